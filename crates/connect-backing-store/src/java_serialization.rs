//! A `java.util.HashMap` from `byte[]` to `byte[]` in Java's serialized form.
//!
//! Lives here: reading what any Java version writes, writing what any Java version reads.
//! Never here: files.
//! Source: Java Object Serialization Specification, chapter 6; a dump of JDK 17.

use crate::RawOffsets;
use bytes::Bytes;

/// Why bytes are not such a map. Positions count from 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SerializationError {
    #[error("it ends after {at} bytes, in the middle of {what}")]
    Truncated { at: usize, what: &'static str },
    #[error("at byte {at}: expected {expected}, found 0x{found:02x}")]
    Unexpected {
        at: usize,
        expected: &'static str,
        found: u8,
    },
    #[error("it does not begin with the mark of a Java object stream (ac ed 00 05)")]
    NotAStream,
    #[error("Expected HashMap but found class {0}")]
    NotAHashMap(String),
    #[error("at byte {at}: reference to an object that the stream does not hold")]
    UnknownReference { at: usize },
}

const STREAM_HEADER: [u8; 4] = [0xAC, 0xED, 0x00, 0x05];
const TC_NULL: u8 = 0x70;
const TC_REFERENCE: u8 = 0x71;
const TC_CLASSDESC: u8 = 0x72;
const TC_OBJECT: u8 = 0x73;
const TC_STRING: u8 = 0x74;
const TC_ARRAY: u8 = 0x75;
const TC_BLOCKDATA: u8 = 0x77;
const TC_ENDBLOCKDATA: u8 = 0x78;
/// The handle of the first object in a stream.
const BASE_HANDLE: u32 = 0x7E_0000;

const HASH_MAP: &str = "java.util.HashMap";
const HASH_MAP_UID: [u8; 8] = [0x05, 0x07, 0xDA, 0xC1, 0xC3, 0x16, 0x60, 0xD1];
const BYTE_ARRAY: &str = "[B";
const BYTE_ARRAY_UID: [u8; 8] = [0xAC, 0xF3, 0x17, 0xF8, 0x06, 0x08, 0x54, 0xE0];

/// The stream of a map. Reading it back gives the same map, here and in Java.
pub fn write_map(offsets: &RawOffsets) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + offsets.len() * 128);
    out.extend_from_slice(&STREAM_HEADER);
    out.push(TC_OBJECT);
    write_class(&mut out, HASH_MAP, HASH_MAP_UID, 0x03);
    out.extend_from_slice(&2u16.to_be_bytes());
    out.push(b'F');
    write_utf(&mut out, "loadFactor");
    out.push(b'I');
    write_utf(&mut out, "threshold");
    out.extend_from_slice(&[TC_ENDBLOCKDATA, TC_NULL]);
    let capacity = (offsets.len() * 4 / 3 + 1).next_power_of_two().max(16) as u32;
    out.extend_from_slice(&0.75f32.to_be_bytes());
    out.extend_from_slice(&(capacity / 4 * 3).to_be_bytes());
    out.extend_from_slice(&[TC_BLOCKDATA, 8]);
    out.extend_from_slice(&capacity.to_be_bytes());
    out.extend_from_slice(&(offsets.len() as u32).to_be_bytes());
    let mut class = ArrayClass::New;
    for (key, value) in offsets {
        write_array(&mut out, key, &mut class);
        match value {
            Some(value) => write_array(&mut out, value, &mut class),
            None => out.push(TC_NULL),
        }
    }
    out.push(TC_ENDBLOCKDATA);
    out
}

/// Whether the class of `byte[]` stands in the stream already.
#[derive(Clone, Copy, PartialEq)]
enum ArrayClass {
    New,
    Written,
}

fn write_array(out: &mut Vec<u8>, bytes: &[u8], class: &mut ArrayClass) {
    out.push(TC_ARRAY);
    match class {
        ArrayClass::New => {
            write_class(out, BYTE_ARRAY, BYTE_ARRAY_UID, 0x02);
            out.extend_from_slice(&[0, 0, TC_ENDBLOCKDATA, TC_NULL]);
            *class = ArrayClass::Written;
        }
        ArrayClass::Written => {
            out.push(TC_REFERENCE);
            // Behind the class of the map and the map itself.
            out.extend_from_slice(&(BASE_HANDLE + 2).to_be_bytes());
        }
    }
    out.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn write_class(out: &mut Vec<u8>, name: &str, uid: [u8; 8], flags: u8) {
    out.push(TC_CLASSDESC);
    write_utf(out, name);
    out.extend_from_slice(&uid);
    out.push(flags);
}

fn write_utf(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads a map. No bytes at all are an empty map, as for Java.
pub fn read_map(bytes: &[u8]) -> Result<RawOffsets, SerializationError> {
    if bytes.is_empty() {
        return Ok(RawOffsets::new());
    }
    if !bytes.starts_with(&STREAM_HEADER) {
        return Err(SerializationError::NotAStream);
    }
    let mut reader = Reader {
        bytes,
        at: STREAM_HEADER.len(),
        handles: Vec::new(),
        described: false,
    };
    reader.map()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What later references may name, in order of appearance.
    handles: Vec<Handle>,
    /// The last class was written out, so that its superclass follows.
    described: bool,
}

#[derive(Clone)]
enum Handle {
    Class(String),
    Array(Bytes),
    Other,
}

impl<'a> Reader<'a> {
    fn map(&mut self) -> Result<RawOffsets, SerializationError> {
        self.expect(TC_OBJECT, "an object")?;
        let class = self.class()?;
        if class != HASH_MAP {
            return Err(SerializationError::NotAHashMap(class));
        }
        self.handles.push(Handle::Other);
        // Load factor and threshold follow from the entries.
        self.take(8, "the map's fields")?;
        self.expect(TC_BLOCKDATA, "the map's size")?;
        self.expect(8, "the map's size of 8 bytes")?;
        self.take(4, "the map's capacity")?;
        let count = self.u32("the map's size")?;
        let mut offsets = RawOffsets::new();
        for _ in 0..count {
            let at = self.at;
            let key = self.array()?.ok_or(SerializationError::Unexpected {
                at,
                expected: "a key",
                found: TC_NULL,
            })?;
            let value = self.array()?;
            offsets.insert(key, value);
        }
        self.expect(TC_ENDBLOCKDATA, "the end of the map")?;
        Ok(offsets)
    }

    /// A byte array, a reference to one, or null.
    fn array(&mut self) -> Result<Option<Bytes>, SerializationError> {
        let at = self.at;
        match self.u8("an entry")? {
            TC_NULL => Ok(None),
            TC_REFERENCE => match self.referenced()? {
                Handle::Array(bytes) => Ok(Some(bytes)),
                _ => Err(SerializationError::UnknownReference { at }),
            },
            TC_ARRAY => {
                let class = self.class()?;
                if class != BYTE_ARRAY {
                    return Err(SerializationError::NotAHashMap(format!(
                        "{HASH_MAP} with entries of {class}"
                    )));
                }
                let length = self.u32("the length of an entry")? as usize;
                let bytes = Bytes::copy_from_slice(self.take(length, "an entry")?);
                self.handles.push(Handle::Array(bytes.clone()));
                Ok(Some(bytes))
            }
            found => Err(SerializationError::Unexpected {
                at,
                expected: "a byte array",
                found,
            }),
        }
    }

    /// The name of a class, described here or before.
    fn class(&mut self) -> Result<String, SerializationError> {
        let name = self.class_alone()?;
        // Not by recursion: a damaged file may have any number of them.
        while self.described {
            match self.bytes.get(self.at) {
                Some(&TC_NULL) => {
                    self.at += 1;
                    self.described = false;
                }
                _ => drop(self.class_alone()?),
            }
        }
        Ok(name)
    }

    /// A class without the one that it extends; `described` says whether that one comes next.
    fn class_alone(&mut self) -> Result<String, SerializationError> {
        let at = self.at;
        self.described = false;
        match self.u8("a class")? {
            TC_REFERENCE => match self.referenced()? {
                Handle::Class(name) => Ok(name),
                _ => Err(SerializationError::UnknownReference { at }),
            },
            TC_CLASSDESC => {
                let name = self.utf()?;
                self.take(8, "a class's serial version")?;
                self.handles.push(Handle::Class(name.clone()));
                self.take(1, "a class's flags")?;
                for _ in 0..self.u16("a class's number of fields")? {
                    let kind = self.u8("a field's type")?;
                    self.utf()?;
                    if matches!(kind, b'L' | b'[') {
                        self.string()?;
                    }
                }
                self.expect(TC_ENDBLOCKDATA, "the end of a class's annotations")?;
                self.described = true;
                Ok(name)
            }
            found => Err(SerializationError::Unexpected {
                at,
                expected: "a class",
                found,
            }),
        }
    }

    /// The type of a field that is no primitive: a string object or a reference to one.
    fn string(&mut self) -> Result<(), SerializationError> {
        let at = self.at;
        match self.u8("a field's class")? {
            TC_REFERENCE => self.referenced().map(drop),
            TC_STRING => {
                self.handles.push(Handle::Other);
                self.utf().map(drop)
            }
            found => Err(SerializationError::Unexpected {
                at,
                expected: "a field's class",
                found,
            }),
        }
    }

    fn referenced(&mut self) -> Result<Handle, SerializationError> {
        let at = self.at;
        let handle = self.u32("a reference")?;
        let index = handle.checked_sub(BASE_HANDLE).map(|index| index as usize);
        index
            .and_then(|index| self.handles.get(index).cloned())
            .ok_or(SerializationError::UnknownReference { at })
    }

    fn utf(&mut self) -> Result<String, SerializationError> {
        let length = self.u16("the length of a name")? as usize;
        Ok(String::from_utf8_lossy(self.take(length, "a name")?).into_owned())
    }

    fn expect(&mut self, wanted: u8, expected: &'static str) -> Result<(), SerializationError> {
        let at = self.at;
        match self.u8(expected)? {
            found if found == wanted => Ok(()),
            found => Err(SerializationError::Unexpected {
                at,
                expected,
                found,
            }),
        }
    }

    fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], SerializationError> {
        let rest = &self.bytes[self.at..];
        if rest.len() < count {
            return Err(SerializationError::Truncated {
                at: self.bytes.len(),
                what,
            });
        }
        self.at += count;
        Ok(&rest[..count])
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, SerializationError> {
        Ok(self.take(1, what)?[0])
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, SerializationError> {
        let bytes = self.take(2, what)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, SerializationError> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(entries: &[(&'static str, Option<&'static str>)]) -> RawOffsets {
        let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
        entries
            .iter()
            .map(|(key, value)| (bytes(key), value.map(bytes)))
            .collect()
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    const EMPTY: &str = "aced0005 73 72 0011 6a6176612e7574696c2e486173684d6170 0507dac1c31660d1 03 0002 \
                         46000a6c6f6164466163746f72 4900097468726573686f6c64 78 70 3f400000 00000000 77 08 00000010 \
                         00000000 78";

    #[test]
    fn maps_come_back_as_they_were() {
        for map in [
            offsets(&[]),
            offsets(&[("[\"a\",{\"filename\":\"x\"}]", Some("{\"position\":5}"))]),
            offsets(&[("a", Some("1")), ("b", None), ("c", Some(""))]),
        ] {
            assert_eq!(read_map(&write_map(&map)), Ok(map));
        }
        let many: RawOffsets = (0..10_000)
            .map(|i| {
                (
                    Bytes::from(format!("key {i}")),
                    Some(Bytes::from(format!("value {i}"))),
                )
            })
            .collect();
        assert_eq!(read_map(&write_map(&many)), Ok(many));
    }

    #[test]
    fn an_empty_map_of_the_jdk_is_read() {
        assert_eq!(read_map(&hex(EMPTY)), Ok(RawOffsets::new()));
        assert_eq!(read_map(b""), Ok(RawOffsets::new()), "an empty file");
    }

    #[test]
    fn a_reference_to_an_array_written_before_is_followed() {
        let map = offsets(&[("a", Some("1")), ("b", Some("1"))]);
        let mut stream = write_map(&map);
        // The last value, an array of its own, becomes a reference to the first value's array.
        let tail = [
            TC_ARRAY,
            TC_REFERENCE,
            0,
            0x7E,
            0,
            2,
            0,
            0,
            0,
            1,
            b'1',
            TC_ENDBLOCKDATA,
        ];
        assert!(stream.ends_with(&tail));
        stream.truncate(stream.len() - tail.len());
        stream.extend_from_slice(&[TC_REFERENCE, 0, 0x7E, 0, 4, TC_ENDBLOCKDATA]);
        assert_eq!(read_map(&stream), Ok(map));
    }

    #[test]
    fn what_is_no_such_map_is_refused_with_the_reason() {
        let check = |bytes: &[u8], expected: &str| {
            assert_eq!(read_map(bytes).unwrap_err().to_string(), expected);
        };
        check(
            b"{}",
            "it does not begin with the mark of a Java object stream (ac ed 00 05)",
        );
        check(
            &hex(EMPTY)[..30],
            "it ends after 30 bytes, in the middle of a class's serial version",
        );
        check(
            &hex("aced0005 74 0001 61"),
            "at byte 4: expected an object, found 0x74",
        );
        let list = hex(
            "aced0005 73 72 0013 6a6176612e7574696c2e41727261794c697374 7881d21d99c7619d 03 0001 \
                        49000473697a65 78 70",
        );
        check(
            &list,
            "Expected HashMap but found class java.util.ArrayList",
        );
        let mut cut = write_map(&offsets(&[("a", Some("1"))]));
        cut.truncate(cut.len() - 2);
        check(
            &cut,
            &format!(
                "it ends after {} bytes, in the middle of an entry",
                cut.len()
            ),
        );
    }

    #[test]
    fn any_number_of_superclasses_is_refused_and_no_overflow() {
        let mut endless = hex("aced0005 73");
        for _ in 0..200_000 {
            endless.extend(hex("72 0001 61 0000000000000000 02 0000 78"));
        }
        assert!(matches!(
            read_map(&endless),
            Err(SerializationError::Truncated { .. })
        ));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let whole = write_map(&offsets(&[("ab", Some("12")), ("cd", None)]));
        for cut in 0..whole.len() {
            let _ = read_map(&whole[..cut]);
            for value in [0x00, 0x70, 0x71, 0x75, 0x7F, 0xFF] {
                let mut changed = whole.clone();
                changed[cut] = value;
                let _ = read_map(&changed);
            }
        }
    }
}
