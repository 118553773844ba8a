import { answer, nobody, question, run, type Plant } from "./plant.ts";

export const treePlants: readonly Plant[] = [
  {
    what: "a parent that is not there",
    statements: [`update messages set parent_id = '${nobody}' where id = ${answer}`],
    says: /messages form a tree.* has no parent \S+ in its conversation/,
  },
  {
    what: "a wrong depth",
    statements: [`update messages set depth = 40 where id = ${answer}`],
    says: /message \S+ has depth 40/,
  },
  {
    what: "an answer before its question",
    statements: [`update messages set sequence = 0 where id = ${answer}`],
    says: /message \S+ is before its parent/,
  },
  {
    what: "a jump to nowhere",
    statements: [`update messages set jump_id = '${nobody}', jump_depth = 7 where id = ${answer}`],
    says: /message \S+ jumps to \S+, which is not at depth 7/,
  },
  {
    what: "a sequence twice",
    statements: [
      `alter table messages drop constraint messages_order_unique`,
      `update messages set sequence = sequence - 1 where id = ${answer}`,
    ],
    says: /conversation \S+ has a sequence twice/,
  },
  {
    what: "a conversation that ends before its messages",
    statements: [`update conversations set last_sequence = 1`],
    says: /conversation \S+ ends at 1, before its last message/,
  },
  {
    what: "a head of another conversation",
    statements: [`update conversations set head_message_id = '${nobody}'`],
    says: /conversation \S+ has a head that is not its message/,
  },
  {
    what: "a question without a run",
    statements: [`delete from runs where id = ${run}`],
    says: /question \S+ has no run/,
  },
  {
    what: "a run without a question",
    statements: [`delete from messages where id = ${question}`],
    says: /run \S+ has no question/,
  },
  {
    what: "a stuck run",
    statements: [`update runs set state = 'running', end_time = null where id = ${run}`],
    says: /run \S+ was left running/,
  },
  {
    what: "a run without an answer",
    statements: [`delete from messages where id = ${answer}`],
    says: /run \S+ \(completed\) has no answer/,
  },
  {
    what: "an answer that says otherwise how it ended",
    statements: [`update messages set status = 'failed' where id = ${answer}`],
    says: /the answer of run \S+ \(completed\) does not fit it/,
  },
];
