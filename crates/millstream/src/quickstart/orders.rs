//! Orders that keep coming: the input of the example.
//!
//! Lives here: what an order looks like (pure), and the file that grows.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

/// Five a second: enough to see it move, slow enough to read along.
const EVERY: Duration = Duration::from_millis(200);

const CUSTOMERS: [&str; 6] = ["Ada", "Bo", "Chiara", "Deniz", "Emil", "Fatou"];
const GOODS: [(&str, u32); 5] = [
    ("bread", 450),
    ("flour", 320),
    ("millstone", 129_900),
    ("sack", 875),
    ("yeast", 95),
];

/// One line of the file, without its end. The same number gives the same order.
fn order(number: u64, time_ms: u64) -> String {
    // Any spread will do; this one repeats after 30 orders.
    let customer = CUSTOMERS[(number % 6) as usize];
    let (goods, cents) = GOODS[(number % 5) as usize];
    let pieces = 1 + number % 3;
    let cents = u64::from(cents) * pieces;
    format!(
        "{{\"id\":{number},\"time\":{time_ms},\"customer\":\"{customer}\",\"email\":\"{}@example.com\",\
         \"card\":\"4111-0000-0000-{:04}\",\"goods\":\"{goods}\",\"pieces\":{pieces},\"price\":{}.{:02}}}",
        customer.to_lowercase(),
        number % 10_000,
        cents / 100,
        cents % 100,
    )
}

/// Appends orders for ever. Ends, with a log line, when the file cannot be written.
pub async fn keep_coming(path: PathBuf) {
    if let Err(cause) = append_for_ever(&path).await {
        error!(file = %path.display(), %cause, "no more orders: the file cannot be written");
    }
}

async fn append_for_ever(path: &Path) -> io::Result<()> {
    let mut number = lines(path)?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        number += 1;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let time_ms = now.map_or(0, |since| since.as_millis() as u64);
        let mut line = order(number, time_ms);
        line.push('\n');
        file.write_all(line.as_bytes())?;
    }
}

/// How many lines there are, so that numbers go on.
fn lines(path: &Path) -> io::Result<u64> {
    match File::open(path) {
        Ok(file) => {
            let mut reader = BufReader::new(file);
            let mut count = 0;
            loop {
                let buffer = reader.fill_buf()?;
                if buffer.is_empty() {
                    return Ok(count);
                }
                count += buffer.iter().filter(|byte| **byte == b'\n').count() as u64;
                let length = buffer.len();
                reader.consume(length);
            }
        }
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_one_json_object() {
        assert_eq!(
            order(7, 1_700_000_000_000),
            "{\"id\":7,\"time\":1700000000000,\"customer\":\"Bo\",\"email\":\"bo@example.com\",\
             \"card\":\"4111-0000-0000-0007\",\"goods\":\"millstone\",\"pieces\":2,\"price\":2598.00}"
        );
    }

    #[test]
    fn numbers_go_on_behind_the_last_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("orders");
        assert_eq!(lines(&path).expect("none"), 0);
        std::fs::write(&path, "a\nb\n").expect("writable");
        assert_eq!(lines(&path).expect("readable"), 2);
    }
}
