//! The requests that this broker takes, and the layout of each: one table for the versions that are
//! advertised and for the guard in front of the decoder.
//!
//! Lives here: [`APIS`], and how a layout is read.
//! Lives elsewhere: the walk over a request (`super::guard`).
//! Never here: a response.
//!
//! A layout is a list of fields: `i1` `i2` `i4` `i8` integers and booleans, `u` uuid, `s` string,
//! `b` bytes, `[ … ]` an array of structs, `*` before a simple field an array of it. `4+` before a
//! field: from version 4 on; `-3`: up to version 3. Any string, bytes or array may be null here.

use std::sync::OnceLock;

use kafka_protocol::messages::ApiKey;

/// A request that is answered.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) key: ApiKey,
    pub(crate) min_version: i16,
    pub(crate) max_version: i16,
    /// From this version on: compact lengths, and tags behind each struct.
    pub(crate) flexible_from: i16,
    layout: &'static str,
}

const NEVER: i16 = i16::MAX;

const fn api(
    key: ApiKey,
    min_version: i16,
    max_version: i16,
    flexible_from: i16,
    layout: &'static str,
) -> Api {
    Api {
        key,
        min_version,
        max_version,
        flexible_from,
        layout,
    }
}

/// By key. Every version of every row is answered.
pub(crate) const APIS: &[Api] = &[
    api(ApiKey::Produce, 3, 9, 9, "s i2 i4 [ s [ i4 b ] ]"),
    api(
        ApiKey::Fetch,
        4,
        11,
        NEVER,
        "i4 i4 i4 i4 i1 7+i4 7+i4 [ s [ i4 9+i4 i8 5+i8 i4 ] ] 7+[ s *i4 ] 11+s",
    ),
    api(ApiKey::ListOffsets, 1, 7, 6, "i4 2+i1 [ s [ i4 4+i4 i8 ] ]"),
    api(ApiKey::Metadata, 0, 12, 9, "[ 10+u s ] 4+i1 8+-10i1 8+i1"),
    api(
        ApiKey::OffsetCommit,
        2,
        8,
        8,
        "s i4 s 7+s -4i8 [ s [ i4 i8 6+i4 s ] ]",
    ),
    api(
        ApiKey::OffsetFetch,
        1,
        8,
        6,
        "-7s -7[ s *i4 ] 8+[ s [ s *i4 ] ] 7+i1",
    ),
    api(ApiKey::FindCoordinator, 0, 4, 3, "-3s 1+i1 4+*s"),
    api(ApiKey::JoinGroup, 0, 9, 6, "s i4 1+i4 s 5+s s [ s b ] 8+s"),
    api(ApiKey::Heartbeat, 0, 4, 4, "s i4 s 3+s"),
    api(ApiKey::LeaveGroup, 0, 5, 4, "s -2s 3+[ s s 5+s ]"),
    api(ApiKey::SyncGroup, 0, 5, 4, "s i4 s 3+s 5+s 5+s [ s b ]"),
    api(ApiKey::DescribeGroups, 0, 6, 5, "*s 3+i1"),
    api(ApiKey::ListGroups, 0, 5, 3, "4+*s 5+*s"),
    api(ApiKey::ApiVersions, 0, 4, 3, "3+s 3+s"),
    api(
        ApiKey::CreateTopics,
        2,
        7,
        5,
        "[ s i4 i2 [ i4 *i4 ] [ s s ] ] i4 i1",
    ),
    api(ApiKey::DeleteTopics, 1, 6, 4, "6+[ s u ] -5*s i4"),
    api(ApiKey::DeleteRecords, 0, 2, 2, "[ s [ i4 i8 ] ] i4"),
    api(ApiKey::InitProducerId, 0, 4, 2, "s i4 3+i8 3+i2"),
    api(ApiKey::AddPartitionsToTxn, 0, 3, 3, "s i8 i2 [ s *i4 ]"),
    api(ApiKey::AddOffsetsToTxn, 0, 3, 3, "s i8 i2 s"),
    api(ApiKey::EndTxn, 0, 3, 3, "s i8 i2 i1"),
    api(
        ApiKey::TxnOffsetCommit,
        0,
        3,
        3,
        "s s i8 i2 3+i4 3+s 3+s [ s [ i4 i8 2+i4 s ] ]",
    ),
    api(ApiKey::DescribeAcls, 1, 3, 2, "i1 s i1 s s i1 i1"),
    api(ApiKey::DescribeConfigs, 1, 4, 4, "[ i1 s *s ] i1 3+i1"),
    api(ApiKey::DescribeLogDirs, 1, 4, 2, "[ s *i4 ]"),
    api(ApiKey::CreatePartitions, 0, 3, 2, "[ s i4 [ *i4 ] ] i4 i1"),
    api(ApiKey::DeleteGroups, 0, 2, 2, "*s"),
    api(ApiKey::OffsetDelete, 0, 0, NEVER, "s [ s [ i4 ] ]"),
    api(
        ApiKey::IncrementalAlterConfigs,
        0,
        1,
        1,
        "[ i1 s [ s i1 s ] ] i1",
    ),
    api(ApiKey::DescribeCluster, 0, 1, 0, "i1 1+i1"),
    api(ApiKey::DescribeProducers, 0, 0, 0, "[ s *i4 ]"),
    api(ApiKey::DescribeTransactions, 0, 0, 0, "*s"),
    api(ApiKey::ListTransactions, 0, 1, 0, "*s *i8 1+i8"),
    api(ApiKey::ListConfigResources, 0, 1, 0, "1+*i1"),
];

/// What one field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// So many bytes.
    Fixed(usize),
    Text,
    Bytes,
    Array(Vec<Field>),
    /// Of one simple kind, without tags behind each.
    Simple(Box<Kind>),
}

/// A field and the versions that have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) from: i16,
    pub(crate) to: i16,
    pub(crate) kind: Kind,
}

impl Api {
    pub(crate) fn of(key: i16) -> Option<(&'static Api, &'static [Field])> {
        let index = APIS.iter().position(|api| api.key as i16 == key)?;
        Some((&APIS[index], &layouts()[index]))
    }

    pub(crate) fn takes(&self, version: i16) -> bool {
        (self.min_version..=self.max_version).contains(&version)
    }
}

fn layouts() -> &'static [Vec<Field>] {
    static LAYOUTS: OnceLock<Vec<Vec<Field>>> = OnceLock::new();
    LAYOUTS.get_or_init(|| {
        APIS.iter()
            .map(|api| fields(&mut api.layout.split_whitespace()))
            .collect()
    })
}

/// Fields up to the end of the words, or to a closing bracket.
fn fields<'a>(words: &mut impl Iterator<Item = &'a str>) -> Vec<Field> {
    let mut list = Vec::new();
    while let Some(mut word) = words.next() {
        if word == "]" {
            break;
        }
        let (mut from, mut to) = (0, i16::MAX);
        if let Some((version, rest)) = word.split_once('+') {
            from = version
                .parse()
                .expect("the table has a version before a plus");
            word = rest;
        }
        if let Some(rest) = word.strip_prefix('-') {
            let digits = rest.chars().take_while(char::is_ascii_digit).count();
            to = rest[..digits]
                .parse()
                .expect("the table has a version behind a minus");
            word = &rest[digits..];
        }
        let kind = match word.strip_prefix('*') {
            Some(element) => Kind::Simple(Box::new(simple(element))),
            None if word == "[" => Kind::Array(fields(words)),
            None => simple(word),
        };
        list.push(Field { from, to, kind });
    }
    list
}

fn simple(word: &str) -> Kind {
    match word {
        "i1" => Kind::Fixed(1),
        "i2" => Kind::Fixed(2),
        "i4" => Kind::Fixed(4),
        "i8" => Kind::Fixed(8),
        "u" => Kind::Fixed(16),
        "s" => Kind::Text,
        "b" => Kind::Bytes,
        other => unreachable!("the table has the field {other:?}"),
    }
}
