import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { trailOf } from "../audit/trail.ts";
import { DomainError, unauthenticated } from "../errors.ts";
import { requireCaller } from "./caller.ts";
import { type OriginRules, requireOwnOrigin, decidingCookieOf, sessionCookie } from "./cookie.ts";
import type { Sessions } from "./sessions.ts";
import type { UserRepository } from "./user.repository.ts";
import { toProtoUser } from "./user.rpc.ts";

/** What the session part of IdentityService is made of. */
export interface SessionServiceParts {
  sessions: Sessions;
  users: Pick<UserRepository, "find">;
  originRules: OriginRules;
}

/** The session part of IdentityService: from the contract to the sessions and back. */
export function createSessionService({ sessions, users, originRules }: SessionServiceParts) {
  return {
    async signIn(
      { email, password, cookie: withCookie },
      { values, requestHeader, responseHeader },
    ) {
      // A page of somebody else's must not sign its visitors in as somebody else.
      if (withCookie) requireOwnOrigin(requestHeader, originRules);
      const trail = trailOf(values);
      const user = await sessions.checkPassword(email, password, trail);
      if (!withCookie) {
        const { expireTime, ...tokens } = await sessions.begin(user, trail);
        return { ...tokens, expireTime: timestampFromDate(expireTime), user: toProtoUser(user) };
      }
      const { cookie, csrfToken, expireTime } = await sessions.beginWithCookie(user, trail);
      const seconds = Math.floor((expireTime.getTime() - Date.now()) / 1000);
      responseHeader.append("set-cookie", sessionCookie(cookie, seconds));
      return { csrfToken, expireTime: timestampFromDate(expireTime), user: toProtoUser(user) };
    },

    async refreshToken({ refreshToken }, { values }) {
      const { expireTime, ...tokens } = await sessions.refresh(refreshToken, trailOf(values));
      return { ...tokens, expireTime: timestampFromDate(expireTime) };
    },

    async signOut({ everywhere }, { values, requestHeader, responseHeader }) {
      const caller = requireCaller(values);
      if (caller.sessionId === undefined && !everywhere) {
        throw new DomainError(
          "FAILED_PRECONDITION",
          "NO_SESSION",
          "an API key has no session to end; revoke the key, or sign out everywhere",
        );
      }
      const cookie = decidingCookieOf(requestHeader);
      await sessions.end(caller, everywhere, cookie, trailOf(values));
      if (cookie !== undefined) responseHeader.append("set-cookie", sessionCookie("", 0));
      return {};
    },

    async getMe(_request, { values, requestHeader }) {
      const { userId, permissions, sessionId } = requireCaller(values);
      const user = await users.find(userId);
      if (user === undefined) throw unauthenticated("the user was erased");
      const cookie = sessionId === undefined ? undefined : decidingCookieOf(requestHeader);
      return {
        user: toProtoUser(user),
        permissions: [...permissions].sort(),
        csrfToken: cookie === undefined ? "" : sessions.csrfToken(cookie),
      };
    },
  } satisfies Partial<ServiceImpl<typeof IdentityService>>;
}
