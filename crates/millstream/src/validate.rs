//! `millstream validate`: what is wrong with connector configurations, before a worker sees them.
//!
//! Lives here: the table for people, the JSON that Kafka Connect's REST API would answer, and the exit code.
//! Lives elsewhere: the checks (`connect_worker::validation`).

use crate::cli::ValidateArgs;
use crate::connector_file::read_config;
use crate::exit::Exit;
use crate::plugins::plugins;
use crate::standalone::read_worker;
use connect_config::{ConfigKey, ConfigValueData, Properties, Secrets};
use connect_worker::client_config::OverridePolicy;
use connect_worker::connector_config;
use connect_worker::validation::{ConfigInfo, ConfigInfos, WorkerDefaults, validate};
use connect_worker::{Plugins, WorkerConfig};
use serde_json::{Value as Json, json};
use std::io::{self, IsTerminal, Write};
use std::path::Path;

/// Checks every file. The answers go to standard output.
pub fn run(args: &ValidateArgs, secrets: &Secrets) -> Exit {
    let plugins = plugins();
    let worker = match args
        .worker
        .as_deref()
        .map(|path| read_worker(path, &plugins, secrets))
    {
        None => None,
        Some(Ok(worker)) => Some(worker),
        Some(Err(message)) => {
            eprintln!("{message}");
            return Exit::WorkerFailed;
        }
    };
    let mut all = Vec::new();
    for path in &args.configs {
        all.push((path.as_path(), check(path, worker.as_ref(), &plugins)));
    }
    let sound = all
        .iter()
        .all(|(_, checked)| matches!(checked, Ok(checked) if checked.infos.error_count == 0));
    let mut out = io::stdout().lock();
    let bold = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    // Nothing can be done about a closed pipe.
    let _ = match args.json {
        true => writeln!(out, "{}", json_of(&all)),
        false => out.write_all(table_of(&all, bold).as_bytes()),
    };
    match sound {
        true => Exit::Success,
        false => Exit::WorkerFailed,
    }
}

/// The answer for one file.
struct Checked {
    infos: ConfigInfos,
    /// Keys without effect, and those that nothing knows with the nearest known one.
    warnings: Vec<String>,
    config: Properties,
}

fn check(path: &Path, worker: Option<&WorkerConfig>, plugins: &Plugins) -> Result<Checked, String> {
    let written = read_config(path)?;
    let of_file = |message: String| format!("{}: {message}", path.display());
    let config = match worker {
        Some(worker) => {
            let resolved = worker.providers.resolve(&written);
            resolved
                .map_err(|error| of_file(error.to_string()))?
                .properties
        }
        None => written.clone(),
    };
    let defaults = worker.map_or_else(without_worker, WorkerDefaults::from);
    let infos = validate(plugins, &defaults, &config).map_err(of_file)?;
    let class = infos.name.trim();
    let mut warnings = match plugins.new_connector(class) {
        Ok(mut connector) => connector_config::warnings(&written, &mut connector),
        Err(_) => Vec::new(),
    };
    warnings.extend(unknown_options(plugins, &written));
    Ok(Checked {
        infos,
        warnings,
        config: written,
    })
}

/// What a worker without settings of its own would bring.
fn without_worker() -> WorkerDefaults {
    WorkerDefaults {
        key_converter: String::new(),
        value_converter: String::new(),
        header_converter: connect_worker::worker_config::SIMPLE_HEADER_CONVERTER.to_string(),
        override_policy: OverridePolicy::All,
    }
}

/// Options of transforms and predicates that their classes do not know.
fn unknown_options(plugins: &Plugins, config: &Properties) -> Vec<String> {
    let unknown = connect_worker::validation::unknown_plugin_keys(plugins, config);
    unknown.iter().map(ToString::to_string).collect()
}

type All<'a> = [(&'a Path, Result<Checked, String>)];

/// For each file a line, then its keys that are set or wrong.
fn table_of(all: &All<'_>, bold: bool) -> String {
    let strong = |text: String| match bold {
        true => format!("\x1b[1m{text}\x1b[0m"),
        false => text,
    };
    let mut text = String::new();
    for (path, checked) in all {
        let checked = match checked {
            Ok(checked) => checked,
            Err(message) => {
                text += &format!("{}\n  {message}\n", strong(path.display().to_string()));
                continue;
            }
        };
        let errors = match checked.infos.error_count {
            0 => "valid".to_string(),
            1 => "1 error".to_string(),
            count => format!("{count} errors"),
        };
        let head = format!("{} ({}): {errors}", path.display(), checked.infos.name);
        text += &format!("{}\n", strong(head));
        let shown: Vec<&ConfigInfo> = checked
            .infos
            .configs
            .iter()
            .filter(|info| {
                checked.config.contains_key(&info.value.name) || !info.value.errors.is_empty()
            })
            .collect();
        let width = shown.iter().map(|info| info.value.name.len()).max();
        let width = width.unwrap_or_default();
        for info in shown {
            let value = info.value.value.to_config_string();
            let value = value.unwrap_or_else(|| "-".to_string());
            text += &format!("  {:width$}  {value}\n", info.value.name);
            for error in &info.value.errors {
                text += &format!("  {:width$}  {}\n", "", strong(format!("error: {error}")));
            }
        }
        for warning in &checked.warnings {
            text += &format!("  warning: {warning}\n");
        }
    }
    text
}

/// One answer as the REST API gives it; several as a list.
fn json_of(all: &All<'_>) -> String {
    let answers: Vec<Json> = all
        .iter()
        .map(|(path, checked)| match checked {
            Ok(checked) => {
                let mut json = json_of_infos(&checked.infos);
                // Beside what Kafka Connect answers.
                json["millstream.warnings"] = checked.warnings.as_slice().into();
                json
            }
            Err(message) => json!({"file": path.display().to_string(), "message": message}),
        })
        .collect();
    let json = match &answers[..] {
        [one] => one.clone(),
        _ => Json::Array(answers),
    };
    format!("{json:#}")
}

fn json_of_infos(infos: &ConfigInfos) -> Json {
    let configs = infos.configs.iter().map(|info| {
        let value = &info.value;
        let recommended = value.recommended_values.iter();
        let recommended: Vec<_> = recommended.map(ConfigValueData::to_config_string).collect();
        json!({
            "definition": info.definition.as_ref().map(json_of_key),
            "value": {
                "name": value.name,
                "value": value.value.to_config_string(),
                "recommended_values": recommended,
                "errors": value.errors,
                "visible": value.visible,
            },
        })
    });
    json!({
        "name": infos.name,
        "error_count": infos.error_count,
        "groups": infos.groups,
        "configs": configs.collect::<Vec<_>>(),
    })
}

fn json_of_key(key: &ConfigKey) -> Json {
    json!({
        "name": key.name(),
        "type": key.config_type().to_string(),
        "required": !key.has_default(),
        "default_value": key.default_as_string(),
        "importance": key.get_importance().to_string(),
        "documentation": key.documentation(),
        "group": key.get_group(),
        "width": key.get_width().to_string(),
        "display_name": key.get_display_name(),
        "dependents": key.get_dependents(),
        "order_in_group": key.order_in_group(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use connect_testkit::vectors::{dir, lines};

    /// Java's JSON converter is the worker's there, as in the recording.
    fn worker() -> WorkerDefaults {
        let json = "org.apache.kafka.connect.json.JsonConverter".to_string();
        WorkerDefaults {
            key_converter: json.clone(),
            value_converter: json,
            ..without_worker()
        }
    }

    /// What of a recorded answer is not ours to give, each with the reason.
    fn comparable(mut json: Json) -> Json {
        json["groups"] = sorted(&json["groups"]);
        let Some(configs) = json["configs"].as_array_mut() else {
            return json;
        };
        configs.retain(|config| {
            let name = config["value"]["name"].as_str().unwrap_or_default();
            // Overrides are shown without a definition, and ours has keys of its own: nested paths in every transform.
            !name.contains(".override.")
                && !name.starts_with("millstream.")
                && !name.ends_with(".field.syntax.version")
        });
        // Keys of converters come in the order of a Java hash map.
        configs.sort_by_key(|config| {
            let name = config["value"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_string();
            let of_converter = name.contains("converter.") && !name.ends_with(".plugin.version");
            of_converter.then_some(name)
        });
        for config in configs {
            let name = config["value"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_string();
            let value = config["value"].as_object_mut().expect("a value");
            value.remove("recommended_values");
            if name.ends_with("plugin.version") {
                // The program's version, not Kafka's.
                value.remove("value");
            }
            if let Some(definition) = config["definition"].as_object_mut() {
                definition.remove("documentation");
                if name.starts_with("transforms.") {
                    // Behind one of those keys, all others have moved.
                    definition.remove("order_in_group");
                }
                if name.ends_with("plugin.version") {
                    definition.remove("default_value");
                }
            }
        }
        json
    }

    /// Errors alone, of an answer in full.
    fn errors_of(infos: Json) -> Json {
        let configs = infos["configs"].as_array().expect("a list").iter();
        let wrong = configs.map(|config| &config["value"]);
        let wrong =
            wrong.filter(|value| value["errors"].as_array().is_some_and(|it| !it.is_empty()));
        let errors: Vec<Json> = wrong
            .map(|value| json!({"name": value["name"], "errors": value["errors"]}))
            .collect();
        json!({"errors": errors, "groups": sorted(&infos["groups"])})
    }

    /// The same of an answer that was recorded without what is valid. What Java's null pointers say is not compared.
    fn errors_of_recorded(recorded: Json) -> Json {
        let errors = recorded["errors"].as_array().expect("errors").iter();
        let errors = errors.map(|value| {
            let messages = value["errors"].as_array().expect("a list").iter();
            let messages =
                messages.filter(|it| !it.as_str().is_some_and(|it| it.contains("Cannot invoke")));
            json!({"name": value["name"], "errors": messages.collect::<Vec<_>>()})
        });
        json!({"errors": errors.collect::<Vec<_>>(), "groups": sorted(&recorded["groups"])})
    }

    /// Groups of converters come in the order of a Java hash map.
    fn sorted(groups: &Json) -> Json {
        let mut groups = groups.as_array().expect("a list").clone();
        groups.sort_by_key(|group| group.to_string());
        Json::Array(groups)
    }

    /// What differs, part by part.
    fn difference(got: &Json, expect: &Json) -> String {
        let (Some(ours), Some(theirs)) = (got["configs"].as_array(), expect["configs"].as_array())
        else {
            return format!("  expected {expect}\n  got      {got}");
        };
        let mut text = String::new();
        for theirs in theirs.iter().filter(|it| !ours.contains(it)) {
            text += &format!("  expected {theirs}\n");
        }
        for ours in ours.iter().filter(|it| !theirs.contains(it)) {
            text += &format!("  got      {ours}\n");
        }
        if text.is_empty() {
            let names = |configs: &[Json]| {
                let names = configs.iter().map(|it| it["value"]["name"].to_string());
                names.collect::<Vec<_>>().join(" ")
            };
            text = format!(
                "  expected {} {}\n  got      {} {}",
                expect["groups"],
                names(theirs),
                got["groups"],
                names(ours)
            );
        }
        text
    }

    #[test]
    fn configurations_are_validated_as_java_does() {
        let plugins = plugins();
        let mut ran = 0;
        let mut differ = Vec::new();
        for line in lines("validate.jsonl") {
            // A class of the Java machine, which is no plugin.
            if line.id == "converter-wrong-class" {
                continue;
            }
            ran += 1;
            let members = line
                .get("config")
                .and_then(Json::as_object)
                .expect("a config");
            let config = members
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()));
            let config = Properties::from_iter(config);
            let infos = validate(&plugins, &worker(), &config).expect("a connector");
            let expect = line.get("expect").expect("an answer").clone();
            let (got, expect) = if expect.get("configs").is_some() {
                (comparable(json_of_infos(&infos)), comparable(expect))
            } else {
                (errors_of(json_of_infos(&infos)), errors_of_recorded(expect))
            };
            if got != expect {
                differ.push(format!("{}\n{}", line.id, difference(&got, &expect)));
            }
        }
        assert!(ran > 0, "no lines in {}", dir().display());
        assert!(
            differ.is_empty(),
            "{} of {ran} differ:\n{}",
            differ.len(),
            differ.join("\n")
        );
    }
}
