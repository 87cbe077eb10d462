//! `SwapGeometryCoordinates`: x and y of geometries change places.

use super::geometry_fields::{Depth, GeometryFields};
use super::settings::{Setting, Settings, config_def, parse_int};
use super::wkb;
use connect_api::data::Value;
use connect_api::{ConnectError, ConnectRecord, Origin, Outcome, Result, Transformation};
use connect_config::{ConfigDef, ConfigType, Importance, Properties};

const SETTINGS: &[Setting] = &[Setting {
    name: "srids",
    config_type: ConfigType::String,
    default: Some("4326,3857,4269"),
    checks: &[],
    importance: Importance::Low,
    doc: "Spatial reference identifiers of the geometries to change, separated by commas.",
}];

pub(super) struct SwapGeometryCoordinates {
    srids: Vec<i32>,
    fields: GeometryFields,
}

impl SwapGeometryCoordinates {
    pub(super) fn new() -> Self {
        Self {
            srids: Vec::new(),
            fields: GeometryFields::new(Depth::Containers),
        }
    }
}

impl Transformation for SwapGeometryCoordinates {
    fn config_def(&self) -> ConfigDef {
        config_def(SETTINGS)
    }

    fn configure(&mut self, configs: &Properties) -> Result<()> {
        let list = Settings::new(SETTINGS, configs).list(SETTINGS[0].name);
        let number = |text: &str| {
            parse_int(text)
                .ok_or_else(|| ConnectError::config(format!("For input string: \"{text}\"")))
        };
        self.srids = list.into_iter().map(number).collect::<Result<_>>()?;
        Ok(())
    }

    fn apply(&mut self, record: &mut ConnectRecord, _: Origin<'_>) -> Result<Outcome> {
        let Value::Struct(value) = &mut record.value else {
            return Ok(Outcome::Keep);
        };
        let srids = &self.srids;
        self.fields.each(value, &mut |geometry, fields| {
            if !geometry
                .srid(fields)
                .is_some_and(|srid| srids.contains(&srid))
            {
                return Ok(());
            }
            let swapped = wkb::swap_coordinates(geometry.wkb(fields).unwrap_or_default());
            let swapped = swapped.map_err(|cause| {
                ConnectError::data("Failed to swap EWKB/WKB coordinates").caused_by(cause)
            })?;
            geometry.set_wkb(fields, swapped);
            Ok(())
        })?;
        Ok(Outcome::Keep)
    }
}
