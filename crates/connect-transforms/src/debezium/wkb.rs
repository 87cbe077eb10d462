//! Geometries in well-known binary form (WKB), and its extension with a spatial reference identifier (EWKB).
//!
//! Lives here: putting the identifier in, taking it out, changing x and y of every point.
//! Never here: which fields hold geometries.
//! Source: `io.debezium.geometry`. Only the low byte of a type counts, so that types from 1001 on are unknown, and a
//! changed geometry is written in the byte order of its outermost part throughout.

const SRID_FLAG: u32 = 0x2000_0000;
const Z_FLAG: u32 = 0x8000_0000;
const M_FLAG: u32 = 0x4000_0000;
/// Collections in collections, deeper than any real geometry.
const DEPTH_MAX: usize = 500;

#[derive(Clone, Copy, PartialEq)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    fn of(byte: u8) -> Self {
        if byte == 1 { Self::Little } else { Self::Big }
    }

    fn u32_bytes(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }
}

/// Why a geometry cannot be read.
type BadGeometry = String;

fn too_short() -> BadGeometry {
    "the geometry ends too early".to_string()
}

struct Reader<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl<'a> Reader<'a> {
    fn of(bytes: &'a [u8]) -> Result<(u8, Self), BadGeometry> {
        let (first, bytes) = bytes.split_first().ok_or_else(too_short)?;
        let order = ByteOrder::of(*first);
        Ok((*first, Self { bytes, order }))
    }

    fn u8(&mut self) -> Result<u8, BadGeometry> {
        let (first, rest) = self.bytes.split_first().ok_or_else(too_short)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, BadGeometry> {
        let (first, rest) = self.bytes.split_first_chunk::<4>().ok_or_else(too_short)?;
        self.bytes = rest;
        Ok(match self.order {
            ByteOrder::Little => u32::from_le_bytes(*first),
            ByteOrder::Big => u32::from_be_bytes(*first),
        })
    }

    /// The bits of a double.
    fn u64(&mut self) -> Result<u64, BadGeometry> {
        let (first, rest) = self.bytes.split_first_chunk::<8>().ok_or_else(too_short)?;
        self.bytes = rest;
        Ok(match self.order {
            ByteOrder::Little => u64::from_le_bytes(*first),
            ByteOrder::Big => u64::from_be_bytes(*first),
        })
    }
}

/// Whether the geometry carries its identifier.
pub(super) fn is_extended(wkb: &[u8]) -> bool {
    wkb.len() >= 5
        && Reader::of(wkb)
            .and_then(|(_, mut reader)| reader.u32())
            .is_ok_and(|kind| kind & SRID_FLAG != 0)
}

/// WKB with the identifier put in. Not for what has one.
pub(super) fn to_extended(wkb: &[u8], srid: i32) -> Result<Vec<u8>, BadGeometry> {
    let (first, mut reader) = Reader::of(wkb)?;
    let kind = reader.u32()? | SRID_FLAG;
    let mut out = Vec::with_capacity(wkb.len() + 4);
    out.push(first);
    out.extend_from_slice(&reader.order.u32_bytes(kind));
    out.extend_from_slice(&reader.order.u32_bytes(srid as u32));
    out.extend_from_slice(reader.bytes);
    Ok(out)
}

/// EWKB with the identifier taken out.
pub(super) fn to_plain(ewkb: &[u8]) -> Result<Vec<u8>, BadGeometry> {
    let (first, mut reader) = Reader::of(ewkb)?;
    let kind = reader.u32()? & !SRID_FLAG;
    reader.u32()?;
    let mut out = Vec::with_capacity(ewkb.len() - 4);
    out.push(first);
    out.extend_from_slice(&reader.order.u32_bytes(kind));
    out.extend_from_slice(reader.bytes);
    Ok(out)
}

/// The geometry with x and y of every point changed. What follows the geometry is cut off.
pub(super) fn swap_coordinates(wkb: &[u8]) -> Result<Vec<u8>, BadGeometry> {
    let (first, reader) = Reader::of(wkb)?;
    let mut out = Vec::with_capacity(wkb.len());
    out.push(first);
    let order = reader.order;
    Swap { reader, order, out }.run()
}

struct Swap<'a> {
    reader: Reader<'a>,
    /// The order that is written, whatever a part of the geometry says of itself.
    order: ByteOrder,
    out: Vec<u8>,
}

impl Swap<'_> {
    fn run(mut self) -> Result<Vec<u8>, BadGeometry> {
        self.geometry(0)?;
        Ok(self.out)
    }

    fn geometry(&mut self, depth: usize) -> Result<(), BadGeometry> {
        let kind = self.copy_u32()?;
        let ordinates = 2 + usize::from(kind & Z_FLAG != 0) + usize::from(kind & M_FLAG != 0);
        if kind & SRID_FLAG != 0 {
            self.copy_u32()?;
        }
        match kind & 0xff {
            1 => self.point(ordinates),
            2 => self.points(ordinates),
            3 => self.rings(ordinates),
            4 => self.parts(|swap| swap.copy_u32().and_then(|_| swap.point(ordinates))),
            5 => self.parts(|swap| swap.copy_u32().and_then(|_| swap.points(ordinates))),
            6 => self.parts(|swap| swap.copy_u32().and_then(|_| swap.rings(ordinates))),
            7 if depth < DEPTH_MAX => self.parts(|swap| swap.geometry(depth + 1)),
            other => Err(format!("Invalid geometry type: {other}")),
        }
    }

    fn copy_u32(&mut self) -> Result<u32, BadGeometry> {
        let number = self.reader.u32()?;
        self.out.extend_from_slice(&self.order.u32_bytes(number));
        Ok(number)
    }

    fn copy_count(&mut self) -> Result<i32, BadGeometry> {
        Ok(self.copy_u32()? as i32)
    }

    fn point(&mut self, ordinates: usize) -> Result<(), BadGeometry> {
        let mut bits = [0u64; 4];
        for ordinate in &mut bits[..ordinates] {
            *ordinate = self.reader.u64()?;
        }
        bits.swap(0, 1);
        for ordinate in &bits[..ordinates] {
            self.out.extend_from_slice(&match self.order {
                ByteOrder::Little => ordinate.to_le_bytes(),
                ByteOrder::Big => ordinate.to_be_bytes(),
            });
        }
        Ok(())
    }

    fn points(&mut self, ordinates: usize) -> Result<(), BadGeometry> {
        let count = self.copy_count()?;
        (0..count).try_for_each(|_| self.point(ordinates))
    }

    fn rings(&mut self, ordinates: usize) -> Result<(), BadGeometry> {
        let count = self.copy_count()?;
        (0..count).try_for_each(|_| self.points(ordinates))
    }

    /// Geometries inside one, each of which names its byte order.
    fn parts(
        &mut self,
        mut part: impl FnMut(&mut Self) -> Result<(), BadGeometry>,
    ) -> Result<(), BadGeometry> {
        let count = self.copy_count()?;
        for _ in 0..count {
            let outer = self.reader.order;
            let first = self.reader.u8()?;
            self.out.push(first);
            self.reader.order = ByteOrder::of(first);
            part(self)?;
            self.reader.order = outer;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(order: u8, x: f64, y: f64) -> Vec<u8> {
        let mut wkb = vec![order];
        if order == 1 {
            wkb.extend(1u32.to_le_bytes());
            wkb.extend(x.to_le_bytes());
            wkb.extend(y.to_le_bytes());
        } else {
            wkb.extend(1u32.to_be_bytes());
            wkb.extend(x.to_be_bytes());
            wkb.extend(y.to_be_bytes());
        }
        wkb
    }

    #[test]
    fn the_identifier_goes_in_and_out() {
        for order in [0, 1] {
            let plain = point(order, 1.0, 2.0);
            let extended = to_extended(&plain, 4326).unwrap();
            assert!(is_extended(&extended) && !is_extended(&plain));
            assert_eq!(to_plain(&extended).unwrap(), plain);
        }
    }

    #[test]
    fn swapping_changes_points_and_refuses_what_it_cannot_read() {
        let wkb = point(1, 1.0, 2.0);
        assert_eq!(swap_coordinates(&wkb).unwrap(), point(1, 2.0, 1.0));
        assert!(swap_coordinates(&wkb[..10]).is_err());
        assert!(swap_coordinates(&[]).is_err());
        let mut collection = vec![1];
        collection.extend(7u32.to_le_bytes());
        collection.extend(1u32.to_le_bytes());
        collection.extend(point(1, 3.0, 4.0));
        let swapped = swap_coordinates(&collection).unwrap();
        assert_eq!(&swapped[9..], point(1, 4.0, 3.0));
        let mut unknown = vec![1];
        unknown.extend(1001u32.to_le_bytes());
        assert!(swap_coordinates(&unknown).is_err());
    }
}
