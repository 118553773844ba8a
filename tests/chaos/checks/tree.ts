import { byId, type Check, groupBy, runFacts } from "../facts.ts";

/** Messages form trees: parents, depths, order, no question without an answer. */
export const checkTree: Check = (facts) => {
  const { stored } = facts;
  const violations: string[] = [];
  const messages = byId(stored.messages);
  for (const message of stored.messages) {
    const { id, parentId, conversationId, depth, sequence, jumpId, jumpDepth } = message;
    const parent = parentId === null ? undefined : messages.get(parentId);
    if (parentId !== null && parent?.conversationId !== conversationId)
      violations.push(`message ${id} has no parent ${parentId} in its conversation`);
    if (depth !== (parent?.depth ?? 0) + 1) violations.push(`message ${id} has depth ${depth}`);
    if (parent && parent.sequence >= sequence)
      violations.push(`message ${id} is before its parent`);
    const jump = jumpId === null ? undefined : messages.get(jumpId);
    if ((jump?.depth ?? 0) !== jumpDepth || (jump && jump.conversationId !== conversationId))
      violations.push(`message ${id} jumps to ${jumpId}, which is not at depth ${jumpDepth}`);
  }
  for (const [id, own] of groupBy(stored.messages, (message) => message.conversationId)) {
    const sequences = new Set(own.map(({ sequence }) => sequence));
    if (sequences.size !== own.length) violations.push(`conversation ${id} has a sequence twice`);
    const last = stored.conversations.find((conversation) => conversation.id === id)?.lastSequence;
    if (last === undefined || Math.max(...sequences) > last)
      violations.push(`conversation ${id} ends at ${last}, before its last message`);
  }
  for (const { id, headMessageId } of stored.conversations) {
    if (headMessageId !== null && messages.get(headMessageId)?.conversationId !== id)
      violations.push(`conversation ${id} has a head that is not its message`);
  }
  const answered = new Set(stored.runs.map(({ userMessageId }) => userMessageId));
  for (const { id, role } of stored.messages) {
    if (role === "user" && !answered.has(id)) violations.push(`question ${id} has no run`);
  }
  for (const { run, question, answer } of runFacts(facts)) {
    if (!question) violations.push(`run ${run.id} has no question`);
    if (run.state === "running") violations.push(`run ${run.id} was left running`);
    else if (!answer) violations.push(`run ${run.id} (${run.state}) has no answer`);
    else if (
      answer.parentId !== question?.id ||
      answer.sequence !== question.sequence + 1 ||
      answer.status !== run.state ||
      answer.runId !== run.id
    )
      violations.push(`the answer of run ${run.id} (${run.state}) does not fit it`);
  }
  return violations;
};
