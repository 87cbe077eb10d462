//! Connector files of standalone mode: JSON or properties, told apart by trying.
//!
//! Lives here: the three formats in Kafka's order, and Kafka's messages.
//! Never here: opening the file.
//! Source: `ConnectStandalone.parseConnectorConfigurationFile` of Apache Kafka 4.3.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::{Properties, PropertiesError};

/// The state that a connector is created in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitialState {
    Running,
    Paused,
    Stopped,
}

impl InitialState {
    /// `InitialState.forValue`: any case.
    pub fn for_value(text: &str) -> Option<Self> {
        match text.to_uppercase().as_str() {
            "RUNNING" => Some(Self::Running),
            "PAUSED" => Some(Self::Paused),
            "STOPPED" => Some(Self::Stopped),
            _ => None,
        }
    }
}

/// Why a connector file is none. `file` is the name as the caller gave it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorFileError {
    /// `json` is set when the file looks like JSON and was read as properties only because it is not.
    #[error("Connector configuration at '{file}' is missing the mandatory 'name' configuration")]
    MissingName {
        file: String,
        #[source]
        json: Option<NotAConnector>,
    },
    #[error(
        "Connector name configuration in 'config' doesn't match the one specified in 'name' at '{file}'"
    )]
    NameMismatch { file: String },
    #[error("Connector configuration at '{file}' has 'name' but no 'config'")]
    MissingConfig { file: String },
    #[error("Connector configuration at '{file}' cannot be read")]
    Properties {
        file: String,
        #[source]
        cause: PropertiesError,
    },
}

/// Why a text that begins like JSON is not a connector in JSON.
#[derive(Debug, thiserror::Error)]
#[error("as JSON: {reason}")]
pub struct NotAConnector {
    reason: String,
}

/// A connector as a file describes it. `config` holds `name` too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorFile {
    pub name: String,
    pub config: Properties,
    /// Only the second JSON format can say one.
    pub initial_state: Option<InitialState>,
}

impl ConnectorFile {
    /// Reads a connector file: a flat JSON object of texts; else a JSON object with `name`, `config` and
    /// perhaps `initial_state`, other members ignored; else Java properties.
    ///
    /// As with Jackson, numbers and booleans count as texts and whatever follows the object is ignored.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, ConnectorFileError> {
        let missing_name = |json| ConnectorFileError::MissingName {
            file: file.to_owned(),
            json,
        };
        let not_json = match read_object(bytes) {
            Ok(object) => {
                if let Some(config) = flat_texts(&object) {
                    let name = config
                        .get("name")
                        .ok_or_else(|| missing_name(None))?
                        .to_owned();
                    return Ok(Self {
                        name,
                        config,
                        initial_state: None,
                    });
                }
                match CreateConnectorRequest::read(&object) {
                    Ok(request) => return request.into_connector(file),
                    Err(reason) => reason,
                }
            }
            Err(reason) => reason,
        };
        let config =
            Properties::from_bytes(bytes).map_err(|cause| ConnectorFileError::Properties {
                file: file.to_owned(),
                cause,
            })?;
        let Some(name) = config.get("name").map(str::to_owned) else {
            let looks_like_json = bytes.trim_ascii_start().starts_with(b"{");
            return Err(missing_name(
                looks_like_json.then_some(NotAConnector { reason: not_json }),
            ));
        };
        Ok(Self {
            name,
            config,
            initial_state: None,
        })
    }
}

/// The members of `CreateConnectorRequest` before they are checked against each other.
struct CreateConnectorRequest {
    name: Option<String>,
    config: Option<Properties>,
    initial_state: Option<InitialState>,
}

impl CreateConnectorRequest {
    fn read(object: &Object<'_>) -> Result<Self, String> {
        let member = |name: &str| object.get(name).unwrap_or(&Member::Null);
        let name = member("name").to_text().ok_or("'name' is not a text")?;
        let config = match member("config") {
            Member::Null => None,
            Member::Object(json) => {
                let config = read_object(json.as_bytes())?;
                Some(
                    flat_texts(&config)
                        .ok_or("'config' holds a value that is neither text nor null")?,
                )
            }
            _ => return Err("'config' is not an object".to_owned()),
        };
        let initial_state = match member("initial_state") {
            Member::Null => None,
            Member::Text(state) => Some(InitialState::for_value(state).ok_or_else(|| {
                format!("'initial_state' must be one of RUNNING, PAUSED, STOPPED, found {state}")
            })?),
            _ => return Err("'initial_state' is not a text".to_owned()),
        };
        Ok(Self {
            name,
            config,
            initial_state,
        })
    }

    fn into_connector(self, file: &str) -> Result<ConnectorFile, ConnectorFileError> {
        let file = || file.to_owned();
        let mut config = self
            .config
            .ok_or_else(|| ConnectorFileError::MissingConfig { file: file() })?;
        if config.contains_key("name") && config.get("name") != self.name.as_deref() {
            return Err(ConnectorFileError::NameMismatch { file: file() });
        }
        let name = self.name.ok_or_else(|| ConnectorFileError::MissingName {
            file: file(),
            json: None,
        })?;
        config.set("name", name.as_str());
        Ok(ConnectorFile {
            name,
            config,
            initial_state: self.initial_state,
        })
    }
}

type Object<'a> = BTreeMap<String, Member<'a>>;

/// The object at the beginning of the text, after a byte order mark if there is one.
fn read_object(bytes: &[u8]) -> Result<Object<'_>, String> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // A stream of objects of which only the first is read: what follows is nobody's business.
    let first = serde_json::Deserializer::from_slice(bytes)
        .into_iter()
        .next();
    let object: BTreeMap<String, &RawValue> = first
        .ok_or("the file is empty")?
        .map_err(|error| error.to_string())?;
    object
        .into_iter()
        .map(|(name, json)| Ok((name, Member::of(json.get())?)))
        .collect()
}

enum Member<'a> {
    Null,
    Text(String),
    /// Number, `true` or `false` as written: Jackson makes texts of numbers without changing a digit.
    OtherScalar(&'a str),
    Array,
    Object(&'a str),
}

impl<'a> Member<'a> {
    /// `json` is a JSON value; only an escaped lone surrogate is still to be found.
    fn of(json: &'a str) -> Result<Self, String> {
        Ok(match json.as_bytes().first() {
            Some(b'{') => Self::Object(json),
            Some(b'[') => Self::Array,
            Some(b'n') => Self::Null,
            Some(b'"') => {
                Self::Text(serde_json::from_str(json).map_err(|error| error.to_string())?)
            }
            _ => Self::OtherScalar(json),
        })
    }

    /// Jackson's coercion of a scalar to a text: `None` for what is no scalar, `Some(None)` for null.
    fn to_text(&self) -> Option<Option<String>> {
        match self {
            Self::Null => Some(None),
            Self::Text(text) => Some(Some(text.clone())),
            Self::OtherScalar(json) => Some(Some((*json).to_owned())),
            Self::Array | Self::Object(_) => None,
        }
    }
}

/// `None` when a value is an array or an object.
fn flat_texts(object: &Object<'_>) -> Option<Properties> {
    object
        .iter()
        .map(|(key, member)| Some((key.as_str(), member.to_text()?)))
        .collect()
}
