/** Requests that the API's document shows where what the rules demand says too little. */
import type { JsonObject } from "./openapi/index.ts";

/**
 * Requests by RPC, as the JSON of their messages. Required fields that are left
 * out, ids above all, are filled in; RPCs without an entry show only those.
 */
export const examples: Readonly<Record<string, JsonObject>> = {
  "tribe.v1.ChatService.SendMessage": {
    content: [{ text: "What is a tribe?" }],
    maxOutputTokens: 500,
  },
  "tribe.v1.ChatService.StreamMessage": {
    content: [{ text: "What is a tribe?" }],
  },
  "tribe.v1.ConversationService.CreateConversation": {
    title: "Tribes",
    system: "Answer in one sentence.",
    metadata: { topic: "anthropology" },
  },
  "tribe.v1.ConversationService.ListConversations": { pageSize: 20 },
  "tribe.v1.ConversationService.UpdateConversation": {
    conversation: { title: "Tribes and clans" },
    updateMask: "title",
  },
  "tribe.v1.ConversationService.ListMessages": { pageSize: 20, newestFirst: true },
  "tribe.v1.ConversationService.ForkConversation": { title: "Another way to put it" },
  "tribe.v1.ConversationService.ExportConversation": { format: "EXPORT_FORMAT_MARKDOWN" },
  "tribe.v1.ConversationService.SearchMessages": { query: "tribe or clan", pageSize: 10 },
  "tribe.v1.IdentityService.SignIn": {
    email: "someone@example.com",
    password: "correct horse battery staple",
  },
  "tribe.v1.IdentityService.SignOut": { everywhere: true },
  "tribe.v1.IdentityService.CreateApiKey": { name: "Nightly import" },
  "tribe.v1.IdentityService.RotateApiKey": { overlap: "3600s" },
  "tribe.v1.IdentityService.CreateUser": {
    email: "someone@example.com",
    displayName: "Someone",
    role: "ROLE_USER",
    password: "correct horse battery staple",
  },
  "tribe.v1.IdentityService.UpdateUser": {
    user: { displayName: "Someone else" },
    updateMask: "displayName",
  },
  "tribe.v1.IdentityService.SetPassword": { newPassword: "another horse battery staple" },
  "tribe.v1.UsageService.GetUsage": {
    startTime: "2026-01-01T00:00:00Z",
    groupBy: ["USAGE_GROUP_DAY", "USAGE_GROUP_MODEL"],
  },
  "tribe.v1.UsageService.SetBudget": {
    budget: { dailyMicros: "5000000", monthlyMicros: "100000000" },
  },
  "tribe.v1.AdminService.ListAuditEvents": { pageSize: 20 },
};
