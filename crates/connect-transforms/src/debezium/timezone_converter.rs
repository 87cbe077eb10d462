//! `TimezoneConverter`: times of rows moved to another time zone.
//!
//! Lives here: the rules of `include.list` and `exclude.list`, and what becomes of each kind of time.
//! Lives elsewhere: zones (`zone`), texts (`iso_time`).
//! Source: Debezium 3.7.0.Final.

use super::envelope::{AFTER, BEFORE, SOURCE, cast_struct, class_cast, is_envelope};
use super::iso_time::{NANOS_PER_SECOND, OffsetDateTime, OffsetTime};
use super::java_split::split;
use super::plans::Plans;
use super::settings::{Check, Setting, Settings, config_def};
use super::zone::Zone;
use connect_api::data::{Field, Schema, Str, Struct, Type, Value};
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};
use std::collections::HashMap;

const SETTINGS: &[Setting] = &[
    Setting {
        name: "converted.timezone",
        config_type: ConfigType::String,
        default: None,
        checks: &[Check::Required],
        importance: Importance::High,
        doc: "The time zone to convert to: a name such as America/Los_Angeles, or an offset such as +08:00.",
    },
    Setting {
        name: "include.list",
        config_type: ConfigType::List,
        default: None,
        checks: &[Check::ListOfRegex],
        importance: Importance::High,
        doc: "Rules that say what to convert: source:<table>, source:<table>:<field>, topic:<topic>, \
              topic:<topic>:<field>, <table or topic>:<field>. Without a list, everything.",
    },
    Setting {
        name: "exclude.list",
        config_type: ConfigType::List,
        default: None,
        checks: &[Check::ListOfRegex],
        importance: Importance::High,
        doc: "Rules, as in include.list, that say what not to convert.",
    },
];

pub(super) struct TimezoneConverter {
    zone: Zone,
    includes: bool,
    rules: Rules,
    plans: Plans<Plan>,
}

/// Fields by what they are given for; no fields are all fields.
#[derive(Default)]
struct Rules {
    fields: Vec<Vec<String>>,
    by_topic: HashMap<String, usize>,
    by_table: HashMap<String, usize>,
    by_name: HashMap<String, usize>,
    are_given: bool,
}

/// What is converted in an event.
#[derive(Clone, Copy, PartialEq)]
enum Selection {
    Nothing,
    Everything,
    Rule(usize),
}

/// Where an event's times stand.
struct Plan {
    /// Source and the table's name in it; `None` where there is none.
    table: Option<(usize, usize)>,
    everything: Vec<Conversion>,
    by_rule: Vec<Vec<Conversion>>,
}

#[derive(Clone)]
struct Conversion {
    part: usize,
    field: usize,
    default: Option<Value>,
    kind: Kind,
}

/// What a time is, by the name of its schema, or by that of its field in `source`.
#[derive(Clone, Copy)]
enum Kind {
    Timestamp,
    Millis,
    Micros,
    Nanos,
    ZonedTimestamp,
    ZonedTime,
    /// Of `source`; units in a second.
    Epoch(i64),
}

impl TimezoneConverter {
    pub(super) fn new() -> Self {
        Self {
            zone: Zone::Offset(0),
            includes: false,
            rules: Rules::default(),
            plans: Plans::default(),
        }
    }
}

impl Transformation for TimezoneConverter {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        settings.validate()?;
        let (include, exclude) = (settings.list("include.list"), settings.list("exclude.list"));
        let (which, list) = match include.is_empty() {
            false => ("include", &include),
            true => ("exclude", &exclude),
        };
        if !list.is_empty() && !is_list_of_rules(list) {
            return Err(ConnectError::data(format!(
                "Invalid {which} list format. Please specify a list of rules in the format of \
                 \"source:<tablename>:<fieldnames>\", \"topic:<topicname>:<fieldnames>\", \
                 \"<matchname>:<fieldnames>\""
            )));
        }
        let zone = Zone::parse(settings.text("converted.timezone").unwrap_or_default());
        self.zone = zone.ok_or_else(|| {
            ConnectError::data(
                "Invalid timezone format. Please specify either a geographic timezone (e.g. \
                 America/Los_Angeles) or a UTC offset in the format of +/-hh:mm, (e.g. +08:00).",
            )
        })?;
        if !include.is_empty() && !exclude.is_empty() {
            return Err(ConnectError::data(
                "Both include and exclude lists are specified. Please specify only one.",
            ));
        }
        self.includes = !include.is_empty();
        self.rules = Rules::of(list);
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        if record.value.is_null() || !is_envelope(record.value_schema.as_ref()) {
            return Ok(Outcome::Keep);
        }
        let event = match &mut record.value {
            Value::Struct(event) => event,
            other => return Err(class_cast(other, "org.apache.kafka.connect.data.Struct")),
        };
        let (rules, includes) = (&self.rules, self.includes);
        let plan = self
            .plans
            .get_or_make(event.schema(), |schema| Plan::new(schema, rules, includes));
        let table = plan.table_of(event)?;
        let conversions = match rules.select(&record.topic, table.as_deref(), includes) {
            Selection::Nothing => return Ok(Outcome::Keep),
            Selection::Everything => &plan.everything,
            Selection::Rule(rule) => &plan.by_rule[rule],
        };
        for conversion in conversions {
            conversion.apply(event, &self.zone)?;
        }
        Ok(Outcome::Keep)
    }
}

/// `[a:b, c]`: the first rule has two or three parts, the others one or two, all of letters, digits and `_."` and
/// white space.
fn is_list_of_rules(list: &[&str]) -> bool {
    let fits = |part: &str| {
        let fits = |c: char| {
            c.is_ascii_alphanumeric() || "_.\"".contains(c) || " \t\n\u{b}\u{c}\r".contains(c)
        };
        !part.is_empty() && part.chars().all(fits)
    };
    list.iter().enumerate().all(|(at, item)| {
        // As Java prints the list, a blank stands before all but the first.
        let item = if at == 0 {
            item.to_string()
        } else {
            format!(" {item}")
        };
        let parts: Vec<&str> = item.split(':').collect();
        let count = if at == 0 { 2..=3 } else { 1..=2 };
        count.contains(&parts.len()) && parts.iter().all(|part| fits(part))
    })
}

impl Rules {
    fn of(list: &[&str]) -> Self {
        let mut rules = Self {
            are_given: !list.is_empty(),
            ..Self::default()
        };
        // A rule without a prefix has that of the rule before.
        let mut prefix = String::new();
        for item in list {
            let parts = split(item, ':');
            let is_prefix = |part: &str| {
                part.eq_ignore_ascii_case("source") || part.eq_ignore_ascii_case("topic")
            };
            let (name, field) = match parts.as_slice() {
                [name] => (*name, None),
                [first, name, rest @ ..] if is_prefix(first) => {
                    prefix = (*first).to_string();
                    (*name, rest.first())
                }
                [name, field, ..] => (*name, Some(field)),
                [] => continue,
            };
            let by = match prefix.as_str() {
                "topic" => &mut rules.by_topic,
                "source" => &mut rules.by_table,
                _ => &mut rules.by_name,
            };
            let rule = *by.entry(name.to_string()).or_insert_with(|| {
                rules.fields.push(Vec::new());
                rules.fields.len() - 1
            });
            rules.fields[rule].extend(field.map(|field| (*field).to_string()));
        }
        rules
    }

    fn select(&self, topic: &str, table: Option<&str>, includes: bool) -> Selection {
        if !self.are_given {
            return Selection::Everything;
        }
        let of_table = |rules: &HashMap<String, usize>| rules.get(table?).copied();
        let rule = self.by_topic.get(topic).copied();
        let rule = rule.or_else(|| of_table(&self.by_table));
        let rule = rule.or_else(|| self.by_name.get(topic).copied());
        let rule = rule.or_else(|| of_table(&self.by_name));
        match (rule, includes) {
            (None, true) => Selection::Nothing,
            (None, false) => Selection::Everything,
            (Some(rule), true) if self.fields[rule].is_empty() => Selection::Everything,
            (Some(rule), false) if self.fields[rule].is_empty() => Selection::Nothing,
            (Some(rule), _) => Selection::Rule(rule),
        }
    }
}

impl Plan {
    fn new(schema: &Schema, rules: &Rules, includes: bool) -> Self {
        let part = |name: &str| {
            let field = schema.field(name)?;
            (field.schema.schema_type() == Type::Struct).then_some(field)
        };
        let table = part(SOURCE).map(|source| {
            let table = source.schema.field("table");
            let table = table.filter(|field| field.schema.schema_type() == Type::String);
            (source.index, table.map_or(usize::MAX, |field| field.index))
        });
        let rows = || [BEFORE, AFTER].into_iter().filter_map(part);
        let everything = rows().flat_map(|row| conversions(row, false)).collect();
        let by_rule = rules.fields.iter().map(|fields| {
            let of = |prefix: &str| -> Vec<&str> {
                let stripped = fields.iter().filter_map(|field| field.strip_prefix(prefix));
                stripped.collect()
            };
            let bare = fields.iter().filter(|field| {
                !["source.", "before.", "after."]
                    .iter()
                    .any(|prefix| field.starts_with(prefix))
            });
            let bare: Vec<&str> = bare.map(String::as_str).collect();
            let mut chosen = Vec::new();
            for (name, prefix) in [(BEFORE, "before."), (AFTER, "after."), (SOURCE, "source.")] {
                let mut names = of(prefix);
                if name != SOURCE {
                    names.extend(&bare);
                } else if names.is_empty() {
                    continue; // only when a rule says so
                }
                let Some(part) = part(name) else {
                    continue;
                };
                let all = conversions(part, name == SOURCE).into_iter();
                chosen.extend(all.filter(|conversion| {
                    let field = &part.schema.fields()[conversion.field].name;
                    names.contains(&field.as_str()) == includes
                }));
            }
            chosen
        });
        Self {
            table,
            everything,
            by_rule: by_rule.collect(),
        }
    }

    /// Fails: where `source` is null, a null pointer in Java.
    fn table_of(&self, event: &Struct) -> Result<Option<Str>> {
        let Some((source, table)) = self.table else {
            return Ok(None);
        };
        let source = &event.values()[source];
        if source.is_null() {
            return Err(ConnectError::data("\"source\" is null"));
        }
        Ok(match cast_struct(source)?.values().get(table) {
            Some(Value::String(table)) => Some(table.clone()),
            _ => None,
        })
    }
}

/// All times of a row or of `source`.
fn conversions(part: &Field, is_source: bool) -> Vec<Conversion> {
    let fields = part.schema.fields().iter();
    let conversions = fields.filter_map(|field| {
        let kind = match field.schema.name() {
            Some(name) => kind_of(name)?,
            None if is_source => match field.name.as_str() {
                "ts_ms" => Kind::Epoch(1000),
                "ts_us" => Kind::Epoch(1_000_000),
                "ts_ns" => Kind::Epoch(NANOS_PER_SECOND),
                _ => return None,
            },
            None => return None,
        };
        Some(Conversion {
            part: part.index,
            field: field.index,
            default: field.schema.default_value().cloned(),
            kind,
        })
    });
    conversions.collect()
}

fn kind_of(name: &str) -> Option<Kind> {
    Some(match name {
        "io.debezium.time.Timestamp" => Kind::Millis,
        "io.debezium.time.MicroTimestamp" => Kind::Micros,
        "io.debezium.time.NanoTimestamp" => Kind::Nanos,
        "io.debezium.time.ZonedTimestamp" => Kind::ZonedTimestamp,
        "io.debezium.time.ZonedTime" => Kind::ZonedTime,
        connect_api::data::logical::TIMESTAMP => Kind::Timestamp,
        _ => return None,
    })
}

impl Conversion {
    fn apply(&self, event: &mut Struct, zone: &Zone) -> Result<()> {
        let part = match &mut event.values_mut()[self.part] {
            Value::Null => return Ok(()),
            Value::Struct(part) => part,
            other => return Err(class_cast(other, "org.apache.kafka.connect.data.Struct")),
        };
        let value = &mut part.values_mut()[self.field];
        if value.is_null() {
            match &self.default {
                Some(default) => *value = default.clone(),
                None => return Ok(()),
            }
        }
        *value = self.kind.convert(value, zone)?;
        Ok(())
    }
}

impl Kind {
    fn convert(self, value: &Value, zone: &Zone) -> Result<Value> {
        let number = || match value {
            Value::Int64(number) => Ok(*number),
            other => Err(class_cast(other, "java.lang.Long")),
        };
        let text = || match value {
            Value::String(text) => Ok(text.as_str()),
            other => Err(class_cast(other, "java.lang.String")),
        };
        match self {
            Kind::Millis => Ok(Value::Int64(from_local(number()?, 1000, zone)?)),
            Kind::Micros => Ok(Value::Int64(from_local(number()?, 1_000_000, zone)?)),
            Kind::Nanos => Ok(Value::Int64(from_local(number()?, NANOS_PER_SECOND, zone)?)),
            Kind::Timestamp => match value {
                Value::Timestamp(ms) => Ok(Value::Timestamp(from_local(*ms, 1000, zone)?)),
                other => Err(class_cast(other, "java.util.Date")),
            },
            Kind::Epoch(units) => {
                let number = number()?;
                let offset = zone
                    .offset_at(number.div_euclid(units))
                    .map_err(ConnectError::data)?;
                moved(number, i64::from(offset), units).map(Value::Int64)
            }
            Kind::ZonedTimestamp => {
                let text = text()?;
                let time = OffsetDateTime::parse(text).ok_or_else(|| unparsable(text))?;
                let offset = zone
                    .offset_at_local(time.local_seconds)
                    .map_err(ConnectError::data)?;
                Ok(time.with_offset(offset).text().into())
            }
            Kind::ZonedTime => {
                let text = text()?;
                let offset = zone.offset_now().map_err(ConnectError::data)?;
                let time = OffsetTime::parse(text).ok_or_else(|| unparsable(text))?;
                Ok(time.with_offset(offset).text().into())
            }
        }
    }
}

/// The UTC reading taken as local time of the zone: the instant when clocks there show it.
fn from_local(number: i64, units: i64, zone: &Zone) -> Result<i64> {
    let offset = zone.offset_at_local(number.div_euclid(units));
    let offset = i64::from(offset.map_err(ConnectError::data)?);
    moved(number, -offset, units)
}

fn moved(number: i64, seconds: i64, units: i64) -> Result<i64> {
    let moved = seconds
        .checked_mul(units)
        .and_then(|by| number.checked_add(by));
    moved.ok_or_else(|| ConnectError::data("long overflow"))
}

fn unparsable(text: &str) -> ConnectError {
    ConnectError::data(format!("Text '{text}' could not be parsed"))
}
