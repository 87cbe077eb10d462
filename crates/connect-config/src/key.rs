//! One configuration key: its name with a Rust type, and the row that defines it.
//!
//! Lives here: `Key<T>`, the handle that code holds; `ConfigKey`, what a table of keys says about one.
//! Never here: parsing or checking, which need the whole table.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::from_config::{FromConfig, IntoDefault};
use crate::{ConfigType, ConfigValueData, Recommender, Validator};

/// Name of a configuration key together with the Rust type of its value. A constant beside the table:
/// `pub const QOS: Key<Qos> = Key::new("mqtt.qos");`.
pub struct Key<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.name)
    }
}

impl<T> fmt::Display for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<T> Key<T> {
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }

    pub const fn name(self) -> &'static str {
        self.name
    }
}

impl<T: FromConfig> Key<T> {
    /// A row without default: leaving the key out is an error.
    pub fn required(self) -> ConfigKey {
        self.row(DefaultValue::Required)
    }

    /// A row with a default. Texts, slices of texts and plain values are taken where `T` is `String`,
    /// `Vec<String>` or an `Option`.
    pub fn default(self, value: impl IntoDefault<T>) -> ConfigKey {
        self.row(DefaultValue::Value(value.into_default().to_config()))
    }

    fn row(self, default: DefaultValue) -> ConfigKey {
        let mut row = ConfigKey::new(self.name, T::TYPE);
        row.default = default;
        row.validator = T::validator();
        row.typed_check = Some(|value| T::from_config(value).map(drop));
        row
    }
}

impl<T: FromConfig> Key<Option<T>> {
    /// A row whose default is null: leaving the key out gives `None`.
    pub fn default_null(self) -> ConfigKey {
        self.row(DefaultValue::Value(ConfigValueData::Null))
    }
}

/// How much a key matters to most users. Prints as `HIGH`, `MEDIUM`, `LOW`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Importance {
    High,
    Medium,
    Low,
}

impl fmt::Display for Importance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::High => "HIGH",
            Self::Medium => "MEDIUM",
            Self::Low => "LOW",
        })
    }
}

/// How wide a form field for the key should be. Prints as `NONE`, `SHORT`, `MEDIUM`, `LONG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Width {
    None,
    Short,
    Medium,
    Long,
}

impl fmt::Display for Width {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "NONE",
            Self::Short => "SHORT",
            Self::Medium => "MEDIUM",
            Self::Long => "LONG",
        })
    }
}

/// What a key that is left out means.
#[derive(Debug, Clone, PartialEq)]
pub enum DefaultValue {
    /// An error.
    Required,
    /// This value, which may be null.
    Value(ConfigValueData),
}

pub(crate) type TypedCheck = fn(&ConfigValueData) -> Result<(), String>;

/// One row of a [`ConfigDef`](crate::ConfigDef): `ConfigDef.ConfigKey`.
///
/// Built from a [`Key`] or, where names are only known at run time, with [`ConfigKey::new`]; then
/// refined by the methods that take and return `Self`.
#[derive(Clone)]
pub struct ConfigKey {
    pub(crate) name: String,
    pub(crate) config_type: ConfigType,
    pub(crate) default: DefaultValue,
    pub(crate) validator: Option<Validator>,
    pub(crate) importance: Importance,
    pub(crate) documentation: String,
    pub(crate) group: Option<String>,
    pub(crate) order_in_group: i32,
    pub(crate) width: Width,
    pub(crate) display_name: String,
    pub(crate) dependents: Vec<String>,
    pub(crate) recommender: Option<Arc<dyn Recommender>>,
    pub(crate) internal: bool,
    /// Whether the value can become the Rust type of the key; the error is the reason alone.
    pub(crate) typed_check: Option<TypedCheck>,
    /// How messages of that check call the key, where that is not its name: a row that is embedded under a prefix.
    pub(crate) checked_as: Option<String>,
}

impl ConfigKey {
    /// A required row without a Rust type behind it: any value of `config_type`, null too when given.
    pub fn new(name: impl Into<String>, config_type: ConfigType) -> Self {
        let name = name.into();
        Self {
            display_name: name.clone(),
            name,
            config_type,
            default: DefaultValue::Required,
            validator: None,
            importance: Importance::Medium,
            documentation: String::new(),
            group: None,
            order_in_group: -1,
            width: Width::None,
            dependents: Vec::new(),
            recommender: None,
            internal: false,
            typed_check: None,
            checked_as: None,
        }
    }

    /// Replaces the default, for rows built with [`ConfigKey::new`] and for enriching a definition.
    pub fn default_value(mut self, default: DefaultValue) -> Self {
        self.default = default;
        self
    }

    /// Replaces the validator, also the one that comes with a [`ConfigEnum`](crate::ConfigEnum).
    ///
    /// As in Java most validators refuse null, so a key that may be null wants [`Validator::or_null`].
    pub fn validator(mut self, validator: Validator) -> Self {
        self.validator = Some(validator);
        self
    }

    pub fn importance(mut self, importance: Importance) -> Self {
        self.importance = importance;
        self
    }

    pub fn doc(mut self, documentation: impl Into<String>) -> Self {
        self.documentation = documentation.into();
        self
    }

    /// Group and place in it. Groups are shown in the order in which the table first names them.
    pub fn group(mut self, group: impl Into<String>, order_in_group: i32) -> Self {
        self.group = Some(group.into());
        self.order_in_group = order_in_group;
        self
    }

    pub fn width(mut self, width: Width) -> Self {
        self.width = width;
        self
    }

    pub fn display_name(mut self, display_name: impl Into<String>) -> Self {
        self.display_name = display_name.into();
        self
    }

    /// Keys whose recommended values or visibility depend on this one; they must be defined too.
    pub fn dependents<N: Into<String>>(mut self, dependents: impl IntoIterator<Item = N>) -> Self {
        self.dependents = dependents.into_iter().map(N::into).collect();
        self
    }

    pub fn recommender(mut self, recommender: impl Recommender + 'static) -> Self {
        self.recommender = Some(Arc::new(recommender));
        self
    }

    /// Accepted, and left out of documentation.
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same row under another name; it is shown as before.
    #[must_use]
    pub fn renamed(&self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self.clone()
        }
    }

    pub fn config_type(&self) -> ConfigType {
        self.config_type
    }

    pub fn get_default(&self) -> &DefaultValue {
        &self.default
    }

    /// `ConfigKey.hasDefault`: false means required. A null default is a default.
    pub fn has_default(&self) -> bool {
        matches!(self.default, DefaultValue::Value(_))
    }

    /// The default as REST shows it; `None` for a required key and for a null default.
    pub fn default_as_string(&self) -> Option<String> {
        match &self.default {
            DefaultValue::Required => None,
            DefaultValue::Value(value) => value.to_config_string(),
        }
    }

    pub fn get_validator(&self) -> Option<&Validator> {
        self.validator.as_ref()
    }

    pub fn get_importance(&self) -> Importance {
        self.importance
    }

    pub fn documentation(&self) -> &str {
        &self.documentation
    }

    pub fn get_group(&self) -> Option<&str> {
        self.group.as_deref()
    }

    /// -1 outside of any group.
    pub fn order_in_group(&self) -> i32 {
        self.order_in_group
    }

    pub fn get_width(&self) -> Width {
        self.width
    }

    pub fn get_display_name(&self) -> &str {
        &self.display_name
    }

    pub fn get_dependents(&self) -> &[String] {
        &self.dependents
    }

    pub fn get_recommender(&self) -> Option<&Arc<dyn Recommender>> {
        self.recommender.as_ref()
    }

    pub fn is_internal(&self) -> bool {
        self.internal
    }
}

impl fmt::Debug for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigKey")
            .field("name", &self.name)
            .field("type", &self.config_type)
            .field("default", &self.default)
            .field("validator", &self.validator)
            .field("importance", &self.importance)
            .finish_non_exhaustive()
    }
}
