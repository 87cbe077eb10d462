//! Connector files of standalone mode: JSON or properties, told apart by trying.
//!
//! Lives here: the three formats in Kafka's order, and Kafka's messages.
//! Never here: opening the file.
//! Source: `ConnectStandalone.parseConnectorConfigurationFile` of Apache Kafka 4.3.

use serde_json::{Map, Value};

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
        let missing_name = |json| ConnectorFileError::MissingName { file: file.to_owned(), json };
        let not_json = match read_object(bytes) {
            Ok(object) => {
                if let Some(config) = flat_texts(&object) {
                    let name = config.get("name").ok_or_else(|| missing_name(None))?.to_owned();
                    return Ok(Self { name, config, initial_state: None });
                }
                match CreateConnectorRequest::read(&object) {
                    Ok(request) => return request.into_connector(file),
                    Err(reason) => reason,
                }
            }
            Err(reason) => reason,
        };
        let config = Properties::from_bytes(bytes)
            .map_err(|cause| ConnectorFileError::Properties { file: file.to_owned(), cause })?;
        let Some(name) = config.get("name").map(str::to_owned) else {
            let looks_like_json = bytes.trim_ascii_start().starts_with(b"{");
            return Err(missing_name(looks_like_json.then_some(NotAConnector { reason: not_json })));
        };
        Ok(Self { name, config, initial_state: None })
    }
}

/// The members of `CreateConnectorRequest` before they are checked against each other.
struct CreateConnectorRequest {
    name: Option<String>,
    config: Option<Properties>,
    initial_state: Option<InitialState>,
}

impl CreateConnectorRequest {
    fn read(object: &Map<String, Value>) -> Result<Self, String> {
        let name = match object.get("name") {
            Some(name) => text(name).ok_or("'name' is not a text")?,
            None => None,
        };
        let config = match object.get("config") {
            None | Some(Value::Null) => None,
            Some(Value::Object(config)) => {
                Some(flat_texts(config).ok_or("'config' holds a value that is neither text nor null")?)
            }
            Some(_) => return Err("'config' is not an object".to_owned()),
        };
        let initial_state = match object.get("initial_state") {
            None | Some(Value::Null) => None,
            Some(Value::String(state)) => Some(InitialState::for_value(state).ok_or_else(|| {
                format!("'initial_state' must be one of RUNNING, PAUSED, STOPPED, found {state}")
            })?),
            Some(_) => return Err("'initial_state' is not a text".to_owned()),
        };
        Ok(Self { name, config, initial_state })
    }

    fn into_connector(self, file: &str) -> Result<ConnectorFile, ConnectorFileError> {
        let file = || file.to_owned();
        let mut config = self.config.ok_or_else(|| ConnectorFileError::MissingConfig { file: file() })?;
        if config.contains_key("name") && config.get("name") != self.name.as_deref() {
            return Err(ConnectorFileError::NameMismatch { file: file() });
        }
        let name = self.name.ok_or_else(|| ConnectorFileError::MissingName { file: file(), json: None })?;
        config.set("name", name.as_str());
        Ok(ConnectorFile { name, config, initial_state: self.initial_state })
    }
}

/// The object at the beginning of the text, after a byte order mark if there is one.
fn read_object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    // A stream of objects of which only the first is read: what follows is nobody's business.
    let first = serde_json::Deserializer::from_slice(bytes).into_iter().next();
    first.ok_or("the file is empty")?.map_err(|error| error.to_string())
}

/// `None` when a value is an array or an object.
fn flat_texts(object: &Map<String, Value>) -> Option<Properties> {
    object.iter().map(|(key, value)| Some((key.as_str(), text(value)?))).collect()
}

/// Jackson's coercion of a scalar to a text: `None` for what is no scalar, `Some(None)` for null.
fn text(value: &Value) -> Option<Option<String>> {
    match value {
        Value::Null => Some(None),
        Value::String(text) => Some(Some(text.clone())),
        Value::Bool(flag) => Some(Some(flag.to_string())),
        Value::Number(number) => Some(Some(number.to_string())),
        Value::Array(_) | Value::Object(_) => None,
    }
}
