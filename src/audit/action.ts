import type { DescMethod } from "@bufbuild/protobuf";

/** What does not follow the rule, or would read badly. */
const exceptions: Record<string, string> = {
  "IdentityService.SignIn": "identity.session.sign_in",
  "IdentityService.SignOut": "identity.session.sign_out",
  "IdentityService.RefreshToken": "identity.session.refresh",
  "AdminService.VerifyAuditLog": "admin.audit.verify",
  "AdminService.ListAuditEvents": "admin.audit.list",
};

const actions = new WeakMap<DescMethod, string>();

/** The name of a method in the audit log: CreateApiKey of IdentityService is `identity.key.create`. */
export function actionOf(method: DescMethod): string {
  let action = actions.get(method);
  if (action === undefined) {
    action = exceptions[`${method.parent.name}.${method.name}`] ?? nameAction(method);
    actions.set(method, action);
  }
  return action;
}

function nameAction({ name, parent }: DescMethod): string {
  const [verb = "", ...noun] = name
    .replace("ApiKey", "Key")
    .replace(/s$/, "")
    .split(/(?=[A-Z])/)
    .map((word) => word.toLowerCase());
  const room = parent.name.replace(/Service$/, "").toLowerCase();
  return `${room}.${noun.join("_") || "call"}.${verb}`;
}
