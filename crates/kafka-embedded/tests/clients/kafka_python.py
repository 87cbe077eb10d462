"""kafka-python, which shares no code with the other clients, against the broker at argv[1].

Ends with 0 when everything was as it should be; prints what it has seen on the way.
"""

import sys
import time
import uuid

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

BOOTSTRAP = sys.argv[1]
LIMIT_S = 60


def unique(kind):
    return f"kafka-python-{kind}-{uuid.uuid4().hex[:8]}"


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


def consumer(topic, group, **more):
    settings = {
        "bootstrap_servers": BOOTSTRAP,
        "group_id": group,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
    }
    return KafkaConsumer(topic, **{**settings, **more})


def take(reader, count):
    """The next `count` records."""
    taken = []
    deadline = time.monotonic() + LIMIT_S
    while len(taken) < count:
        for records in reader.poll(timeout_ms=200).values():
            taken += records
        if time.monotonic() > deadline:
            sys.exit(f"found {len(taken)} records within {LIMIT_S} s, expected {count}")
    return taken


def create(client, topic, partitions=1, **configs):
    options = {"num_partitions": partitions, "replication_factor": 1, "configs": configs}
    client.create_topics({topic: options}, wait_for_metadata=True)


def admin(client):
    topic = unique("admin")
    create(client, topic, 2, **{"retention.ms": "5000000"})
    described = client.describe_topics([topic])[0]
    expect("partitions", len(described["partitions"]), 2)
    try:
        create(client, topic)
        sys.exit("a topic was created twice")
    except TopicAlreadyExistsError:
        pass
    client.create_partitions({topic: 3})
    deadline = time.monotonic() + LIMIT_S
    while (found := len(client.describe_topics([topic])[0]["partitions"])) != 3:
        if time.monotonic() > deadline:
            sys.exit(f"partitions: found {found}, expected 3")
    configs = client.describe_configs([ConfigResource("TOPIC", topic)])["topic"][topic]
    expect("retention.ms", configs["retention.ms"]["value"], "5000000")
    by_id = client.describe_topics([uuid.UUID(str(described["topic_id"]))])[0]
    expect("name by id", by_id["name"], topic)
    client.delete_topics([topic])


def records(client):
    topic = unique("records")
    create(client, topic)
    sent = []
    # The codecs that need no package besides.
    for codec in [None, "gzip"]:
        writer = KafkaProducer(bootstrap_servers=BOOTSTRAP, compression_type=codec, acks="all", linger_ms=20)
        values = [f"{codec} {number}".encode() for number in range(50)]
        headers = [("one", b"1"), ("one", b"2")]
        futures = [writer.send(topic, value, key=b"k", headers=headers) for value in values]
        writer.flush(LIMIT_S)
        for future in futures:
            future.get(LIMIT_S)
        writer.close()
        sent += [(b"k", value, headers) for value in values]
    reader = consumer(topic, unique("group"))
    read = take(reader, len(sent))
    expect("records", [(record.key, record.value, list(record.headers)) for record in read], sent)
    partition = TopicPartition(topic, 0)
    expect("beginning", reader.beginning_offsets([partition])[partition], 0)
    expect("end", reader.end_offsets([partition])[partition], len(sent))
    found = reader.offsets_for_times({partition: read[7].timestamp})[partition]
    expect("offset for a time is at most", found.offset <= 7, True)
    reader.close()


def groups(client):
    topic, group = unique("groups"), unique("group")
    create(client, topic)
    writer = KafkaProducer(bootstrap_servers=BOOTSTRAP)
    for value in [b"a", b"b", b"c"]:
        writer.send(topic, value).get(LIMIT_S)
    reader = consumer(topic, group)
    expect("values", [record.value for record in take(reader, 3)], [b"a", b"b", b"c"])
    partition = TopicPartition(topic, 0)
    reader.commit({partition: OffsetAndMetadata(2, "noted", -1)})
    expect("members", len(client.describe_groups([group])[group]["members"]), 1)
    reader.close()
    committed = client.list_group_offsets(group)[group][partition]
    expect("committed", (committed.offset, committed.metadata), (2, "noted"))
    reader = consumer(topic, group)
    expect("where it goes on", [record.value for record in take(reader, 1)], [b"c"])
    reader.close()
    expect("listed", group in [found["group_id"] for found in client.list_groups()], True)
    client.delete_groups([group])
    expect("listed when deleted", group in [found["group_id"] for found in client.list_groups()], False)


def transactions(client):
    topic, identity = unique("transactions"), unique("id")
    create(client, topic)
    writer = KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=identity)
    writer.init_transactions()
    for value, commit in [(b"aborted", False), (b"committed", True)]:
        writer.begin_transaction()
        writer.send(topic, value).get(LIMIT_S)
        writer.commit_transaction() if commit else writer.abort_transaction()
    writer.begin_transaction()
    writer.send(topic, b"zombie").get(LIMIT_S)
    successor = KafkaProducer(bootstrap_servers=BOOTSTRAP, transactional_id=identity)
    successor.init_transactions()
    try:
        writer.commit_transaction()
        sys.exit("a zombie committed")
    except KafkaError as error:
        print(f"the zombie hears {type(error).__name__}")
    successor.begin_transaction()
    successor.send(topic, b"successor").get(LIMIT_S)
    successor.commit_transaction()
    successor.close()
    reader = consumer(topic, unique("group"), isolation_level="read_committed")
    expect("committed values", [record.value for record in take(reader, 2)], [b"committed", b"successor"])
    reader.close()


def main():
    client = KafkaAdminClient(bootstrap_servers=BOOTSTRAP)
    for part in (admin, records, groups, transactions):
        part(client)
        print(f"kafka-python: {part.__name__} well", flush=True)
    client.close()


main()
