"""librdkafka, through its Python client, against the broker at argv[1].

Ends with 0 when everything was as it should be; prints what it has seen on the way.
"""

import sys
import time
import uuid

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

BOOTSTRAP = sys.argv[1]
LIMIT_S = 60


def unique(kind):
    return f"librdkafka-{kind}-{uuid.uuid4().hex[:8]}"


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"{what}: found {found!r}, expected {expected!r}")


def producer(**more):
    return Producer({"bootstrap.servers": BOOTSTRAP, **more})


def consumer(group, **more):
    settings = {
        "bootstrap.servers": BOOTSTRAP,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    }
    return Consumer({**settings, **more})


def take(readers, count):
    """The next `count` records of consumers that share a topic."""
    taken = []
    deadline = time.monotonic() + LIMIT_S
    while len(taken) < count:
        for reader in readers:
            record = reader.poll(0.1)
            if record is None:
                continue
            if record.error():
                raise KafkaException(record.error())
            taken.append(record)
        if time.monotonic() > deadline:
            sys.exit(f"found {len(taken)} records within {LIMIT_S} s, expected {count}")
    return taken


def produce(writer, topic, values, **more):
    failed = []

    def delivered(error, _record):
        if error:
            failed.append(error)

    for value in values:
        writer.produce(topic, value=value, on_delivery=delivered, **more)
    expect("records that were not delivered", (writer.flush(LIMIT_S), failed), (0, []))


def wait_for_partitions(client, topic, count):
    """A broker may answer a moment before its metadata shows what was done."""
    deadline = time.monotonic() + LIMIT_S
    while (found := len(client.list_topics(topic, LIMIT_S).topics[topic].partitions)) != count:
        if time.monotonic() > deadline:
            sys.exit(f"partitions: found {found}, expected {count}")


def admin(client):
    topic = unique("admin")
    created = client.create_topics([NewTopic(topic, 2, 1, config={"retention.ms": "5000000"})])
    created[topic].result(LIMIT_S)
    wait_for_partitions(client, topic, 2)
    again = client.create_topics([NewTopic(topic, 2, 1)])[topic]
    expect("creating it again", again.exception(LIMIT_S).args[0].code(), KafkaError.TOPIC_ALREADY_EXISTS)

    client.create_partitions([NewPartitions(topic, 3)])[topic].result(LIMIT_S)
    wait_for_partitions(client, topic, 3)

    change = ConfigEntry("cleanup.policy", "compact", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    client.incremental_alter_configs([resource])[resource].result(LIMIT_S)
    asked = ConfigResource(ResourceType.TOPIC, topic)
    configs = client.describe_configs([asked])[asked].result(LIMIT_S)
    expect("cleanup.policy", configs["cleanup.policy"].value, "compact")
    expect("retention.ms", configs["retention.ms"].value, "5000000")

    cluster = client.describe_cluster().result(LIMIT_S)
    expect("brokers", len(cluster.nodes), 1)
    client.delete_topics([topic])[topic].result(LIMIT_S)


def records(client):
    topic = unique("records")
    client.create_topics([NewTopic(topic, 1, 1)])[topic].result(LIMIT_S)
    sent = []
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        writer = producer(**{"compression.type": codec, "enable.idempotence": True, "linger.ms": 20})
        values = [f"{codec} {number}".encode() for number in range(100)]
        headers = [("one", b"1"), ("one", None)]
        produce(writer, topic, values, key=codec, headers=headers)
        sent += [(codec.encode(), value, headers) for value in values]
    writer = producer()
    produce(writer, topic, [None], key="gone")
    sent.append((b"gone", None, None))
    reader = consumer(unique("group"), **{"check.crcs": True})
    reader.subscribe([topic])
    read = take([reader], len(sent))
    expect("records", [(record.key(), record.value(), record.headers()) for record in read], sent)
    reader.close()

    earliest = client.list_offsets({TopicPartition(topic, 0): OffsetSpec.earliest()})
    latest = client.list_offsets({TopicPartition(topic, 0): OffsetSpec.latest()})
    ends = [list(found.values())[0].result(LIMIT_S).offset for found in (earliest, latest)]
    expect("ends", ends, [0, len(sent)])
    cut = client.delete_records([TopicPartition(topic, 0, 10)])
    expect("low watermark", list(cut.values())[0].result(LIMIT_S).low_watermark, 10)


def groups(client):
    topic, group = unique("groups"), unique("group")
    client.create_topics([NewTopic(topic, 4, 1)])[topic].result(LIMIT_S)
    strategy = {"partition.assignment.strategy": "cooperative-sticky"}
    readers = [consumer(group, **strategy) for _ in range(2)]
    for reader in readers:
        reader.subscribe([topic])
    deadline = time.monotonic() + LIMIT_S
    while sorted(len(reader.assignment()) for reader in readers) != [2, 2]:
        for reader in readers:
            expect("records before there are any", reader.poll(0.1), None)
        if time.monotonic() > deadline:
            sys.exit(f"assignments: found {[reader.assignment() for reader in readers]}, expected 2 and 2")
    writer = producer()
    for number in range(40):
        writer.produce(topic, value=str(number), partition=number % 4)
    expect("left in the queue", writer.flush(LIMIT_S), 0)
    read = sorted(int(record.value()) for record in take(readers, 40))
    expect("values", read, list(range(40)))
    described = client.describe_consumer_groups([group])[group].result(LIMIT_S)
    expect("members", len(described.members), 2)
    for reader in readers:
        reader.commit(asynchronous=False)
        reader.close()
    listed = client.list_consumer_groups().result(LIMIT_S)
    expect("listed", group in [found.group_id for found in listed.valid], True)
    offsets = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
    found = sorted((entry.partition, entry.offset) for entry in offsets.result(LIMIT_S).topic_partitions)
    expect("committed", found, [(partition, 10) for partition in range(4)])

    produce(writer, topic, [b"later"], partition=1)
    reader = consumer(group)
    reader.subscribe([topic])
    expect("where it goes on", [record.value() for record in take([reader], 1)], [b"later"])
    reader.close()
    client.delete_consumer_groups([group])[group].result(LIMIT_S)


def transactions(client):
    source, target, group = unique("source"), unique("target"), unique("group")
    for created in client.create_topics([NewTopic(source, 1, 1), NewTopic(target, 1, 1)]).values():
        created.result(LIMIT_S)
    produce(producer(), source, [b"a", b"b"])
    reader = consumer(group)
    reader.subscribe([source])
    take([reader], 2)
    identity = {"transactional.id": unique("id")}
    writer = producer(**identity)
    writer.init_transactions(LIMIT_S)

    writer.begin_transaction()
    writer.produce(target, value="aborted")
    expect("left in the queue", writer.flush(LIMIT_S), 0)
    writer.abort_transaction(LIMIT_S)

    writer.begin_transaction()
    writer.produce(target, value="committed")
    position = reader.position(reader.assignment())
    writer.send_offsets_to_transaction(position, reader.consumer_group_metadata(), LIMIT_S)
    writer.commit_transaction(LIMIT_S)
    committed = reader.committed([TopicPartition(source, 0)], LIMIT_S)
    expect("offset of the transaction", committed[0].offset, 2)
    reader.close()

    writer.begin_transaction()
    writer.produce(target, value="zombie")
    expect("left in the queue", writer.flush(LIMIT_S), 0)
    successor = producer(**identity)
    successor.init_transactions(LIMIT_S)
    try:
        writer.commit_transaction(LIMIT_S)
        sys.exit("a zombie committed")
    except KafkaException as error:
        expect("what the zombie hears", error.args[0].code(), KafkaError._FENCED)
    successor.begin_transaction()
    successor.produce(target, value="successor")
    successor.commit_transaction(LIMIT_S)

    reader = consumer(unique("group"), **{"isolation.level": "read_committed"})
    reader.subscribe([target])
    expect("committed values", [record.value() for record in take([reader], 2)], [b"committed", b"successor"])
    reader.close()
    reader = consumer(unique("group"), **{"isolation.level": "read_uncommitted"})
    reader.subscribe([target])
    expected = [b"aborted", b"committed", b"zombie", b"successor"]
    expect("all values", [record.value() for record in take([reader], 4)], expected)
    reader.close()


def main():
    client = AdminClient({"bootstrap.servers": BOOTSTRAP})
    for part in (admin, records, groups, transactions):
        part(client)
        print(f"librdkafka: {part.__name__} well", flush=True)


main()
