import type { JsonObject } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type {
  AdminService,
  Settings as ProtoSettings,
  UpdateSettingsRequest,
} from "../../gen/tribe/v1/admin_pb.js";
import { trailOf } from "../audit/trail.ts";
import { invalidField } from "../errors.ts";
import type { Settings, SettingsSnapshot } from "./settings.ts";

/** The settings part of AdminService: from the contract to the settings and back. */
export function createSettingsService(settings: Settings) {
  return {
    async getSettings() {
      return { settings: toProtoSettings(await settings.read()) };
    },

    async updateSettings(request, { values }) {
      const trail = trailOf(values);
      trail.resource = "settings";
      const etag = request.settings?.etag || undefined;
      const updated = await settings.update(chosenValues(request), etag, trail);
      return { settings: toProtoSettings(updated) };
    },
  } satisfies Partial<ServiceImpl<typeof AdminService>>;
}

function toProtoSettings({ values, etag }: SettingsSnapshot): ProtoSettings {
  return { $typeName: "tribe.v1.Settings", values: values as JsonObject, etag };
}

/** The given values that the mask names; those that it names and that are not given are unset. */
function chosenValues({ settings, updateMask }: UpdateSettingsRequest): Record<string, unknown> {
  const given = settings?.values ?? {};
  if (updateMask === undefined) return given;
  const chosen = updateMask.paths.map((path) => {
    const [head, name, ...rest] = path.split(".");
    if (head !== "values" || name === undefined || rest.length > 0) {
      throw invalidField("updateMask", `cannot change "${path}", only values.NAME`);
    }
    // JSON writes masks in camel case and means snake case; settings are named in camel case.
    const camelName = name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    return [camelName, given[camelName]];
  });
  return Object.fromEntries(chosen) as Record<string, unknown>;
}
