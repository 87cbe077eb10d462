//! Is a broker ready? The one request that this crate writes by hand.
//!
//! An open port is not enough: a broker accepts connections before it may serve, and of three
//! brokers the first is up before the others have joined. Metadata names the brokers that the
//! controller lets serve, so a broker that lists all of them is ready, and so is the cluster.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for one answer on the loopback address; the caller asks again.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Metadata version 1 with an empty array of topics, which asks for the brokers alone.
const METADATA_REQUEST: [u8; 18] = [
    0, 0, 0, 14, // length of what follows
    0, 3, // api key: Metadata
    0, 1, // api version
    0, 0, 0, 7, // correlation id
    0xff, 0xff, // client id: null
    0, 0, 0, 0, // topics: none
];

/// How many brokers the broker at `address` lists as serving.
pub(super) fn brokers_known_to(address: SocketAddr) -> io::Result<usize> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_MAX)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    stream.write_all(&METADATA_REQUEST)?;
    // Length, correlation id, then the count of the array of brokers; the rest is not needed.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer)?;
    brokers_in(&answer)
}

fn brokers_in(answer: &[u8; 12]) -> io::Result<usize> {
    let [_, _, _, _, correlation @ .., a, b, c, d] = answer;
    let count = i32::from_be_bytes([*a, *b, *c, *d]);
    match usize::try_from(count) {
        Ok(count) if *correlation == METADATA_REQUEST[8..12] => Ok(count),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("not an answer to a Metadata request: {answer:?}"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_counts_brokers() {
        let rows = [
            ([0, 0, 0, 99, 0, 0, 0, 7, 0, 0, 0, 3], Some(3)),
            ([0, 0, 0, 99, 0, 0, 0, 7, 0, 0, 0, 0], Some(0)),
            ([0, 0, 0, 99, 0, 0, 0, 8, 0, 0, 0, 3], None),
            ([0, 0, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff], None),
        ];
        for (answer, expected) in rows {
            assert_eq!(brokers_in(&answer).ok(), expected, "{answer:?}");
        }
    }

    #[test]
    fn the_request_says_its_length() {
        assert_eq!(usize::from(METADATA_REQUEST[3]), METADATA_REQUEST.len() - 4);
    }
}
