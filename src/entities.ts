import { RunEntity } from "./chat/run.entity.ts";
import { ConversationEntity } from "./conversations/conversation.entity.ts";
import { MessageEntity } from "./conversations/message.entity.ts";
import { UserEntity } from "./identity/user.entity.ts";
import { SettingEntity } from "./settings/setting.entity.ts";
import { UsageEntity } from "./usage/usage.entity.ts";

/** Everything that has a table. */
export const entities = [
  UserEntity,
  ConversationEntity,
  MessageEntity,
  RunEntity,
  UsageEntity,
  SettingEntity,
];
