//! How Rust types are configuration values.
//!
//! Lives here: the trait between a parsed value and a Rust type, its implementations for the types of
//! `ConfigDef`, and the short way for enums.
//! Never here: text parsing; a value arrives as `ConfigValueData` of the declared type.

use crate::{ClassName, ConfigType, ConfigValueData, Password, Validator};

/// A Rust type that a configuration key can have.
///
/// Implement it for a type that carries its own check, and the check cannot be forgotten: parsing
/// reports what [`FromConfig::from_config`] refuses beside all other errors.
pub trait FromConfig: Sized + 'static {
    /// The type that users see and that decides how the text is parsed.
    const TYPE: ConfigType;

    /// The value, or the reason why it cannot be one; the reason follows
    /// `Invalid value <v> for configuration <k>: ` in the message.
    ///
    /// `value` is null or of type [`FromConfig::TYPE`]. Must accept what [`FromConfig::to_config`] gives.
    fn from_config(value: &ConfigValueData) -> Result<Self, String>;

    /// The value as `ConfigDef` keeps it, for defaults.
    fn to_config(&self) -> ConfigValueData;

    /// The validator of a key that names no other.
    fn validator() -> Option<Validator> {
        None
    }
}

/// What may stand in `KEY.default(...)` for a key of type `T`.
pub trait IntoDefault<T> {
    fn into_default(self) -> T;
}

impl<T> IntoDefault<T> for T {
    fn into_default(self) -> T {
        self
    }
}

impl<T> IntoDefault<Option<T>> for T {
    fn into_default(self) -> Option<T> {
        Some(self)
    }
}

impl IntoDefault<String> for &str {
    fn into_default(self) -> String {
        self.to_owned()
    }
}

impl IntoDefault<Option<String>> for &str {
    fn into_default(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl IntoDefault<ClassName> for &str {
    fn into_default(self) -> ClassName {
        ClassName::new(self)
    }
}

impl IntoDefault<Password> for &str {
    fn into_default(self) -> Password {
        Password::new(self)
    }
}

impl<const N: usize> IntoDefault<Vec<String>> for [&str; N] {
    fn into_default(self) -> Vec<String> {
        self.into_iter().map(str::to_owned).collect()
    }
}

const NULL: &str = "Value must be non-null";

fn unexpected(expected: ConfigType, found: &ConfigValueData) -> String {
    match found.config_type() {
        None => NULL.to_owned(),
        Some(found) => format!("expected a value of type {expected}, found {found}"),
    }
}

macro_rules! from_config_by_variant {
    ($($rust:ty => $variant:ident),* $(,)?) => {$(
        impl FromConfig for $rust {
            const TYPE: ConfigType = ConfigType::$variant;

            fn from_config(value: &ConfigValueData) -> Result<Self, String> {
                match value {
                    ConfigValueData::$variant(value) => Ok(value.clone()),
                    other => Err(unexpected(Self::TYPE, other)),
                }
            }

            fn to_config(&self) -> ConfigValueData {
                ConfigValueData::$variant(self.clone())
            }
        }
    )*};
}

from_config_by_variant! {
    bool => Boolean,
    String => String,
    i32 => Int,
    i16 => Short,
    i64 => Long,
    f64 => Double,
    Vec<String> => List,
    ClassName => Class,
    Password => Password,
}

/// Null is `None`.
impl<T: FromConfig> FromConfig for Option<T> {
    const TYPE: ConfigType = T::TYPE;

    fn from_config(value: &ConfigValueData) -> Result<Self, String> {
        if value.is_null() {
            Ok(None)
        } else {
            T::from_config(value).map(Some)
        }
    }

    fn to_config(&self) -> ConfigValueData {
        self.as_ref().map_or(ConfigValueData::Null, T::to_config)
    }

    fn validator() -> Option<Validator> {
        T::validator().map(Validator::or_null)
    }
}

/// An enum that is written as one of a few words. Its key gets the validator and the messages of
/// `ValidString.in`.
pub trait ConfigEnum: Copy + PartialEq + 'static {
    /// Each word once, with what it means, in the order in which messages list them.
    const WORDS: &'static [(&'static str, Self)];

    /// True: the case of letters does not matter, as with `CaseInsensitiveValidString`.
    const IGNORE_CASE: bool = false;

    /// The words as values: a recommender that offers them all. Not attached by itself, because Kafka
    /// recommends nothing where a definition has no recommender.
    fn words() -> Vec<ConfigValueData> {
        Self::WORDS
            .iter()
            .map(|(word, _)| ConfigValueData::from(*word))
            .collect()
    }
}

impl<T: ConfigEnum> FromConfig for T {
    const TYPE: ConfigType = ConfigType::String;

    fn from_config(value: &ConfigValueData) -> Result<Self, String> {
        let ConfigValueData::String(text) = value else {
            return Err(unexpected(Self::TYPE, value));
        };
        let same = |word: &str| {
            if T::IGNORE_CASE {
                word.to_uppercase() == text.to_uppercase()
            } else {
                word == text
            }
        };
        let found = T::WORDS
            .iter()
            .find(|(word, _)| same(word))
            .map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let words: Vec<_> = T::WORDS.iter().map(|(word, _)| *word).collect();
            format!("String must be one of: {}", words.join(", "))
        })
    }

    fn to_config(&self) -> ConfigValueData {
        let (word, _) = T::WORDS
            .iter()
            .find(|(_, meaning)| meaning == self)
            .expect("ConfigEnum::WORDS names every variant");
        ConfigValueData::from(*word)
    }

    fn validator() -> Option<Validator> {
        let words = T::WORDS.iter().map(|(word, _)| *word);
        Some(if T::IGNORE_CASE {
            Validator::in_ignoring_case(words)
        } else {
            Validator::in_values(words)
        })
    }
}
