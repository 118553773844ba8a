import {
  AuditHeadEntity,
  AuditLinkEntity,
  AuditPendingEntity,
} from "./audit/audit-chain.entity.ts";
import { AuditDetailsEntity, AuditEventEntity } from "./audit/audit-event.entity.ts";
import { RunEntity } from "./chat/run.entity.ts";
import { ContentKeyEntity } from "./conversations/content-key.entity.ts";
import { ConversationEntity } from "./conversations/conversation.entity.ts";
import { MessageEntity } from "./conversations/message.entity.ts";
import { MessageSearchEntity, SearchQueueEntity } from "./conversations/search.entity.ts";
import { ApiKeyEntity } from "./identity/api-key.entity.ts";
import { ForeignIdentityEntity } from "./identity/foreign-identity.entity.ts";
import { SecretEntity } from "./identity/secret.entity.ts";
import { RefreshTokenEntity, SessionEntity } from "./identity/session.entity.ts";
import { SigningKeyEntity } from "./identity/signing-key.entity.ts";
import { UserEntity } from "./identity/user.entity.ts";
import { LeaseEntity } from "./postgres/lease.entity.ts";
import { SettingEntity } from "./settings/setting.entity.ts";
import { BudgetEntity, BudgetReservationEntity } from "./usage/budget.entity.ts";
import { UsageEntity, UsagePendingEntity, UsageSumEntity } from "./usage/usage.entity.ts";

/** Everything that has a table. */
export const entities = [
  UserEntity,
  ApiKeyEntity,
  SessionEntity,
  RefreshTokenEntity,
  SigningKeyEntity,
  ForeignIdentityEntity,
  SecretEntity,
  ContentKeyEntity,
  ConversationEntity,
  MessageEntity,
  MessageSearchEntity,
  SearchQueueEntity,
  RunEntity,
  UsageEntity,
  UsagePendingEntity,
  UsageSumEntity,
  BudgetEntity,
  BudgetReservationEntity,
  SettingEntity,
  LeaseEntity,
  AuditEventEntity,
  AuditDetailsEntity,
  AuditPendingEntity,
  AuditLinkEntity,
  AuditHeadEntity,
];
