// Reads every record that the topics of an installation hold now, and prints each as one line of JSON.
//
//   node consume.cjs <bootstrap> <topic prefix, may be empty> [<topic> ...]
//
// It does what the guide asks of every consumer: deliveries are repeated, so it knows an event by its ce_id, and it
// ignores a record that is older than one that it has seen of the same source, subject and key.
"use strict";

const { Kafka, logLevel } = require("kafkajs");

const DEADLINE_MS = 60_000;
const WAIT_MS = 500;
const QUIET_FETCHES = 3;

const [bootstrap, prefix, ...wanted] = process.argv.slice(2);
const kafka = new Kafka({ clientId: "foreign-consumer", brokers: [bootstrap], logLevel: logLevel.ERROR });

const seen = new Set();
const highest = new Map();

// "new", "repeated" or "older". The sequence is compared as text: it is zero-padded, and too long for a number.
function judge(headers, key) {
  if (seen.has(headers.ce_id)) return "repeated";
  seen.add(headers.ce_id);
  const about = JSON.stringify([headers.ce_source, headers.ce_subject, key]);
  if (headers.ce_sequence <= (highest.get(about) ?? "")) return "older";
  highest.set(about, headers.ce_sequence);
  return "new";
}

function told(topic, partition, message) {
  const headers = Object.fromEntries(Object.entries(message.headers).map(([name, text]) => [name, text.toString()]));
  const key = message.key.toString();
  return {
    topic: topic.slice(prefix.length),
    partition,
    offset: message.offset,
    key,
    headers,
    value: JSON.parse(message.value.toString()),
    verdict: judge(headers, key),
  };
}

// A topic that was made a moment ago may still be without a leader.
async function patiently(ask, attempts = 20) {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!error.retriable || (attempts -= 1) === 0) throw error;
      await new Promise((done) => setTimeout(done, 250));
    }
  }
}

// Where each partition ends that holds anything: `topic/partition` to the offset of its last record.
async function lastOffsets(admin, topics) {
  const last = new Map();
  for (const topic of topics) {
    for (const { partition, low, high } of await patiently(() => admin.fetchTopicOffsets(topic))) {
      if (BigInt(high) > BigInt(low)) last.set(`${topic}/${partition}`, BigInt(high) - 1n);
    }
  }
  return last;
}

async function readUntil(consumer, topics, last) {
  // Nothing is there. A consumer that is disconnected while its `run` still starts would go on for ever.
  if (last.size === 0) return;
  await consumer.connect();
  await consumer.subscribe({ topics, fromBeginning: true });
  await new Promise((done, fail) => {
    const deadline = setTimeout(() => fail(new Error(`not read in time: ${[...last.keys()]}`)), DEADLINE_MS);
    let quiet = 0;
    // A compacted topic ends in the marker of a transaction, an offset that is never delivered: where nothing has come
    // several times in a row, the end is reached too.
    const finish = () => (last.size === 0 || quiet >= QUIET_FETCHES) && (clearTimeout(deadline), done());
    const eachMessage = async ({ topic, partition, message }) => {
      process.stdout.write(JSON.stringify(told(topic, partition, message)) + "\n");
      // At or beyond: offsets have gaps, after compaction for one.
      const end = last.get(`${topic}/${partition}`);
      if (end !== undefined && BigInt(message.offset) >= end) last.delete(`${topic}/${partition}`);
      finish();
    };
    consumer.on(consumer.events.FETCH, ({ payload }) => {
      quiet = payload.numberOfBatches === 0 ? quiet + 1 : 0;
      finish();
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => fail(payload.error));
    consumer.run({ eachMessage }).catch(fail);
  });
}

async function main() {
  const admin = kafka.admin();
  await admin.connect();
  const groupId = `${prefix}foreign-${process.pid}`;
  const consumer = kafka.consumer({ groupId, maxWaitTimeInMs: WAIT_MS });
  try {
    const every = (await admin.listTopics()).filter((topic) => topic.startsWith(`${prefix}desk.`));
    const topics = wanted.length ? wanted.map((topic) => prefix + topic) : every;
    await readUntil(consumer, topics, await lastOffsets(admin, topics));
  } finally {
    await consumer.disconnect();
    await admin.deleteGroups([groupId]).catch(() => undefined);
    await admin.disconnect();
  }
}

main().catch((error) => {
  process.stderr.write(`${error.stack ?? error}\n`);
  process.exitCode = 1;
});
