//! The folder of a quickstart: what lies where, the example's configurations, and what a newcomer is told.
//!
//! Lives here: files that are written once and are the user's from then on.
//! Never here: a server.

use connect_config::Properties;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The connectors of the example, by the names of their files.
const EXAMPLE: [&str; 2] = ["orders-source.properties", "orders-billing.properties"];

/// A prepared folder.
pub struct Folder {
    /// As an absolute path, so that connectors find their files wherever the program was started.
    dir: PathBuf,
    example: bool,
}

impl Folder {
    /// Makes the folder, and in it what is missing. Files that are there stay as they are.
    ///
    /// Fails: with a sentence that names the file.
    pub fn prepare(dir: &Path, example: bool) -> Result<Self, String> {
        let cannot = |path: &Path, cause: std::io::Error| {
            format!(
                "cannot write to {}: {cause}; choose another folder with --dir",
                path.display()
            )
        };
        fs::create_dir_all(dir).map_err(|cause| cannot(dir, cause))?;
        let dir = fs::canonicalize(dir).map_err(|cause| cannot(dir, cause))?;
        let folder = Self { dir, example };
        let connectors = folder.connectors();
        fs::create_dir_all(&connectors).map_err(|cause| cannot(&connectors, cause))?;
        let mut files = vec![(folder.worker_file(), WORKER.to_string())];
        if example {
            let [source, billing] = EXAMPLE.map(|name| connectors.join(name));
            files.push((source, source_config(&folder.orders())));
            files.push((billing, billing_config(&folder.billing())));
        }
        for (path, text) in files {
            match fs::File::create_new(&path) {
                Ok(_) => fs::write(&path, text).map_err(|cause| cannot(&path, cause))?,
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cannot(&path, cause)),
            }
        }
        Ok(folder)
    }

    /// Where the log keeps its topics.
    pub fn kafka(&self) -> PathBuf {
        self.dir.join("kafka")
    }

    pub fn worker_file(&self) -> PathBuf {
        self.dir.join("worker.properties")
    }

    fn connectors(&self) -> PathBuf {
        self.dir.join("connectors")
    }

    pub fn orders(&self) -> PathBuf {
        self.dir.join("orders.jsonl")
    }

    pub fn billing(&self) -> PathBuf {
        self.dir.join("billing.txt")
    }

    /// The worker's configuration, with the log's address and an offset file in this folder.
    pub fn worker_properties(&self, servers: &str) -> Result<Properties, String> {
        let path = self.worker_file();
        let bytes = fs::read(&path).map_err(|cause| {
            format!(
                "cannot read the worker configuration {}: {cause}",
                path.display()
            )
        })?;
        let mut properties = Properties::from_bytes(&bytes).map_err(|cause| {
            format!(
                "the worker configuration {} is no properties file: {cause}",
                path.display()
            )
        })?;
        properties.set("bootstrap.servers", servers);
        let offsets = self.dir.join("connect.offsets");
        properties.set_if_absent(
            "offset.storage.file.filename",
            offsets.display().to_string(),
        );
        Ok(properties)
    }

    /// Connector files in the order of their names. Without the example, its own are left out.
    pub fn connector_files(&self) -> Result<Vec<PathBuf>, String> {
        let folder = self.connectors();
        let cannot = |cause| format!("cannot read the folder {}: {cause}", folder.display());
        let mut files = Vec::new();
        for entry in fs::read_dir(&folder).map_err(cannot)? {
            let path = entry.map_err(cannot)?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let of_example = EXAMPLE.contains(&name);
            let known = name.ends_with(".properties") || name.ends_with(".json");
            if known && (self.example || !of_example) {
                files.push(path);
            }
        }
        files.sort();
        Ok(files)
    }

    /// What a newcomer reads: what runs, where it is, what to try.
    pub fn welcome(&self, servers: &str, example: bool, begin: Instant) -> String {
        let ready_ms = begin.elapsed().as_millis();
        let connectors = self.connectors();
        let mut text = format!(
            "Millstream is ready after {ready_ms} ms. All of it is in {dir}\n\n  Kafka        bootstrap.servers={servers}\n",
            dir = self.dir.display()
        );
        if example {
            text += &format!(
                "  example      {orders} grows by five orders a second\n               \
                 → topic \"orders\" → card masked, e-mail dropped, time made readable →\n               \
                 {billing}\n\n\
                 Watch it:      tail -f {billing}\n\
                 Change it:     edit {connectors}/orders-billing.properties, then Ctrl-C and start again\n\
                 Try a chain:   tail -n 1 {orders} | millstream transform {connectors}/orders-billing.properties --explain\n",
                orders = self.orders().display(),
                billing = self.billing().display(),
                connectors = connectors.display(),
            );
        } else {
            text += "\n";
        }
        text += &format!(
            "Your own:      put connector files into {}\nStop:          Ctrl-C; the next start goes on from there\n\n",
            connectors.display()
        );
        text
    }
}

const WORKER: &str = "\
# The worker of `millstream quickstart`. bootstrap.servers is set by the command: its own log.
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
# 60000 by default; here often, so that the lag on the screen is fresh.
offset.flush.interval.ms=1000
";

fn source_config(orders: &Path) -> String {
    format!(
        "\
# Lines of a file into a topic, each as it is.
name=orders-source
connector.class=FileStreamSource
file={}
topic=orders
",
        orders.display()
    )
}

fn billing_config(billing: &Path) -> String {
    format!(
        "\
# Records of a topic into a file, changed on the way.
name=orders-billing
connector.class=FileStreamSink
topics=orders
file={}
value.converter=org.apache.kafka.connect.json.JsonConverter
value.converter.schemas.enable=false
transforms=hide,drop,time
transforms.hide.type=org.apache.kafka.connect.transforms.MaskField$Value
transforms.hide.fields=card
transforms.hide.replacement=****
transforms.drop.type=org.apache.kafka.connect.transforms.ReplaceField$Value
transforms.drop.exclude=email
transforms.drop.renames=id:order
transforms.time.type=org.apache.kafka.connect.transforms.TimestampConverter$Value
transforms.time.field=time
transforms.time.target.type=string
transforms.time.format=yyyy-MM-dd HH:mm:ss
# What cannot be read goes to a topic of its own, and everything else goes on.
errors.tolerance=all
errors.deadletterqueue.topic.name=orders-refused
errors.deadletterqueue.topic.replication.factor=1
errors.deadletterqueue.context.headers.enable=true
",
        billing.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_has_changed_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::prepare(dir.path(), true).expect("writable");
        let files = folder.connector_files().expect("readable");
        assert_eq!(files.len(), 2);
        fs::write(&files[0], "name=mine").expect("writable");
        let again = Folder::prepare(dir.path(), true).expect("writable");
        let text = fs::read_to_string(&again.connector_files().expect("readable")[0]);
        assert_eq!(text.expect("readable"), "name=mine");
    }

    #[test]
    fn without_the_example_only_the_users_own_files_count() {
        let dir = tempfile::tempdir().expect("a folder");
        Folder::prepare(dir.path(), true).expect("writable");
        fs::write(dir.path().join("connectors/mine.json"), "{}").expect("writable");
        fs::write(dir.path().join("connectors/notes.txt"), "").expect("writable");
        let folder = Folder::prepare(dir.path(), false).expect("writable");
        let files = folder.connector_files().expect("readable");
        assert_eq!(files.len(), 1, "{files:?}");
        assert!(files[0].ends_with("mine.json"));
    }

    #[test]
    fn the_worker_uses_the_log_whatever_its_file_says() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::prepare(dir.path(), true).expect("writable");
        fs::write(folder.worker_file(), "bootstrap.servers=elsewhere:1\n").expect("writable");
        let properties = folder.worker_properties("127.0.0.1:5").expect("readable");
        assert_eq!(properties.get("bootstrap.servers"), Some("127.0.0.1:5"));
        let offsets = properties.get("offset.storage.file.filename").expect("set");
        assert!(offsets.ends_with("connect.offsets"), "{offsets}");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let below = file.path().join("folder");
        let Err(message) = Folder::prepare(&below, true) else {
            panic!("a folder below a file");
        };
        assert!(
            message.contains(&below.display().to_string()) && message.ends_with("--dir"),
            "{message}"
        );
    }
}
