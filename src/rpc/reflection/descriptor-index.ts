/** What reflection can be asked for, looked up once: files, symbols and extensions. */
import { toBinary, type DescExtension, type DescFile, type DescMessage } from "@bufbuild/protobuf";
import type { DescEnum, DescService } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

/** The descriptors behind the served services. */
export interface DescriptorIndex {
  /** Full names of the served services, sorted. */
  readonly serviceNames: string[];
  /** A file by its name, `tribe/v1/chat.proto`, followed by everything it imports, as descriptors. */
  filesByName(name: string): Uint8Array[] | undefined;
  /** The same for the file that declares a symbol. */
  filesBySymbol(symbol: string): Uint8Array[] | undefined;
  /** The same for the file that declares an extension. */
  filesByExtension(typeName: string, number: number): Uint8Array[] | undefined;
  /** Numbers of a message's extensions; undefined if there is no such message. */
  extensionNumbers(typeName: string): number[] | undefined;
}

/** Indexes the services' files, further `files` and all files that these import. */
export function createDescriptorIndex(
  services: readonly DescService[],
  files: readonly DescFile[],
): DescriptorIndex {
  const known = new Map<string, DescFile>();
  const symbols = new Map<string, DescFile>();
  const messages = new Set<string>();
  const extensions = new Map<string, Map<number, DescFile>>();

  function addFile(file: DescFile): void {
    if (known.has(file.proto.name)) return;
    known.set(file.proto.name, file);
    for (const message of file.messages) addMessage(message);
    for (const enumeration of file.enums) addEnum(enumeration);
    for (const extension of file.extensions) addExtension(extension);
    for (const service of file.services) {
      symbols.set(service.typeName, file);
      for (const method of service.methods) symbols.set(`${service.typeName}.${method.name}`, file);
    }
    for (const dependency of file.dependencies) addFile(dependency);
  }
  function addMessage(message: DescMessage): void {
    messages.add(message.typeName);
    symbols.set(message.typeName, message.file);
    for (const part of [...message.fields, ...message.oneofs]) {
      symbols.set(`${message.typeName}.${part.name}`, message.file);
    }
    // The entries of maps are messages too, which protobuf-es leaves out.
    for (const { name, field } of message.proto.nestedType) {
      const typeName = `${message.typeName}.${name}`;
      symbols.set(typeName, message.file);
      for (const part of field) symbols.set(`${typeName}.${part.name}`, message.file);
    }
    for (const nested of message.nestedMessages) addMessage(nested);
    for (const nested of message.nestedEnums) addEnum(nested);
    for (const nested of message.nestedExtensions) addExtension(nested);
  }
  function addEnum(enumeration: DescEnum): void {
    symbols.set(enumeration.typeName, enumeration.file);
    // The values of an enum belong to the scope around it. https://protobuf.dev/programming-guides/proto3/#enum
    const scope = enumeration.parent?.typeName ?? enumeration.file.proto.package;
    for (const value of enumeration.values) {
      symbols.set(scope === "" ? value.name : `${scope}.${value.name}`, enumeration.file);
    }
  }
  function addExtension(extension: DescExtension): void {
    symbols.set(extension.typeName, extension.file);
    const { typeName } = extension.extendee;
    const numbers = extensions.get(typeName) ?? new Map<number, DescFile>();
    extensions.set(typeName, numbers.set(extension.number, extension.file));
  }
  for (const service of services) addFile(service.file);
  for (const file of files) addFile(file);

  const closures = new Map<DescFile, Uint8Array[]>();
  function withImports(file: DescFile | undefined): Uint8Array[] | undefined {
    if (!file) return undefined;
    let closure = closures.get(file);
    if (!closure) {
      closure = [...importsOf(file)].map(({ proto }) => toBinary(FileDescriptorProtoSchema, proto));
      closures.set(file, closure);
    }
    return closure;
  }
  return {
    serviceNames: services.map((service) => service.typeName).sort(),
    filesByName: (name) => withImports(known.get(name)),
    filesBySymbol: (symbol) => withImports(symbols.get(symbol.replace(/^\./, ""))),
    filesByExtension: (typeName, number) => withImports(extensions.get(typeName)?.get(number)),
    extensionNumbers(typeName) {
      if (!messages.has(typeName)) return undefined;
      return [...(extensions.get(typeName)?.keys() ?? [])].sort((a, b) => a - b);
    },
  };
}

/** A file, then what it imports, each once. */
function importsOf(file: DescFile, found: Set<DescFile> = new Set()): Set<DescFile> {
  if (found.has(file)) return found;
  found.add(file);
  for (const dependency of file.dependencies) importsOf(dependency, found);
  return found;
}
