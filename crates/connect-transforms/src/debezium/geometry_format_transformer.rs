//! `GeometryFormatTransformer`: geometries with or without their spatial reference identifier.

use super::geometry_fields::{Depth, GeometryFields};
use super::settings::{Check, Setting, Settings, config_def};
use super::wkb;
use connect_api::data::Value;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[Setting {
    name: "format",
    config_type: ConfigType::String,
    default: Some("wkb"),
    checks: &[Check::Enum(&["ewkb", "wkb"])],
    importance: Importance::Low,
    doc: "Format that geometries come in: from wkb the spatial reference identifier is put in (EWKB), from ewkb it is \
          taken out. After the first geometry that comes as EWKB all are taken for EWKB.",
}];

pub(super) struct GeometryFormatTransformer {
    from_extended: bool,
    fields: GeometryFields,
}

impl GeometryFormatTransformer {
    pub(super) fn new() -> Self {
        Self {
            from_extended: false,
            fields: GeometryFields::new(Depth::Structs),
        }
    }
}

impl Transformation for GeometryFormatTransformer {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let settings = Settings::new(SETTINGS, configs);
        settings.validate()?;
        self.from_extended = settings.word("format") == "ewkb";
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let Value::Struct(value) = &mut record.value else {
            return Ok(Outcome::Keep);
        };
        let from_extended = &mut self.from_extended;
        self.fields.each(value, &mut |geometry, fields| {
            let bytes = geometry.wkb(fields);
            let is_extended = bytes.is_some_and(wkb::is_extended);
            *from_extended |= is_extended;
            let new = match (*from_extended, geometry.srid(fields)) {
                (true, _) if is_extended => wkb::to_plain(bytes.unwrap_or_default()),
                (false, Some(srid)) => wkb::to_extended(bytes.unwrap_or_default(), srid),
                _ => return Ok(()),
            };
            let new = new.map_err(|cause| {
                ConnectError::data("geometry is not in well-known binary form").caused_by(cause)
            })?;
            geometry.set_wkb(fields, new);
            Ok(())
        })?;
        Ok(Outcome::Keep)
    }
}
