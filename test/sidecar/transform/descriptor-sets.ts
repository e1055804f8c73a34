// Descriptor sets and messages as protobufjs makes them, to compare ours with.
import { createRequire } from 'node:module';

export interface MessageType {
  encode(value: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  toObject(value: object, options: object): Record<string, unknown>;
  fromObject(value: object): object;
}

interface Root {
  lookupType(name: string): MessageType;
  resolveAll(): Root;
  toDescriptor(syntax: string): object;
}

interface Protobuf {
  parse(text: string, options?: object): { readonly root: Root };
}

/** It comes with grpc-js, by way of its loader of .proto files. */
const fromGrpc = createRequire(createRequire(import.meta.url).resolve('@grpc/grpc-js'));
const fromLoader = createRequire(fromGrpc.resolve('@grpc/proto-loader'));
const protobuf = fromLoader('protobufjs') as Protobuf;
const { FileDescriptorSet } = fromLoader('protobufjs/ext/descriptor') as {
  readonly FileDescriptorSet: MessageType;
};

/** descriptor.proto as far as options of methods need it: protobufjs keeps no extension of them. */
const { root: own } = protobuf.parse(`
syntax = "proto2";
message Custom { optional string kind = 1; optional string path = 2; }
message HttpRule {
  optional string get = 2; optional string put = 3; optional string post = 4;
  optional string delete = 5; optional string patch = 6; optional string body = 7;
  optional Custom custom = 8; repeated HttpRule additional_bindings = 11;
  optional string response_body = 12;
}
message MethodOptions { optional HttpRule http = 72295728; }
message Method {
  optional string name = 1; optional string input_type = 2; optional string output_type = 3;
  optional MethodOptions options = 4; optional bool server_streaming = 6;
}
message Service { optional string name = 1; repeated Method method = 2; }
message File { optional string name = 1; optional string package = 2; repeated Service service = 6; optional string syntax = 12; }
message Set { repeated File file = 1; }
`);

export interface Service {
  readonly name: string;
  readonly method: readonly {
    readonly name: string;
    readonly inputType: string;
    readonly outputType: string;
    readonly serverStreaming?: boolean;
    readonly options?: { readonly http: object };
  }[];
}

export interface ProtoSet {
  readonly bytes: Buffer;
  type(name: string): MessageType;
}

/** Each file of a set by itself, one behind the other, is the set of them all. */
export function setOf(proto: string, services?: { package: string; service: Service }): ProtoSet {
  const { root } = protobuf.parse(proto);
  const { root: original } = protobuf.parse(proto, { keepCase: true });
  const set = original.resolveAll().toDescriptor('proto3');
  const messages = Buffer.from(FileDescriptorSet.encode(set).finish());
  const type = own.lookupType('Set');
  const file =
    services === undefined
      ? []
      : [
          {
            name: 's.proto',
            package: services.package,
            syntax: 'proto3',
            service: [services.service],
          },
        ];
  const more = Buffer.from(type.encode(type.fromObject({ file })).finish());
  return { bytes: Buffer.concat([messages, more]), type: (name) => root.lookupType(name) };
}

export const kitchen = `
syntax = "proto3";
package kitchen;
enum Color { COLOR_NONE = 0; RED = 1; BLUE = -2; }
message Inner { string text = 1; repeated Inner more = 2; }
message All {
  double a_double = 1; float a_float = 2; int64 a_long = 3; uint64 a_ulong = 4; int32 an_int = 5;
  fixed64 a_fixed64 = 6; fixed32 a_fixed32 = 7; bool a_bool = 8; string a_string = 9;
  Inner inner = 11; bytes some_bytes = 12; uint32 a_uint = 13; Color color = 14;
  sfixed32 a_sfixed32 = 15; sfixed64 a_sfixed64 = 16; sint32 a_sint = 17; sint64 a_slong = 18;
  repeated int64 longs = 20; repeated double doubles = 21; repeated sint32 sints = 22;
  repeated int32 loose = 23 [packed = false]; repeated string strings = 24;
  repeated Color colors = 25; repeated Inner inners = 26;
  map<string, int64> counts = 30; map<int32, Inner> by_number = 31; map<bool, string> by_bool = 32;
  oneof choice { string one_text = 40; int32 one_number = 41; Inner one_inner = 42; }
}
`;

export const wellKnown = `
syntax = "proto3";
package google.protobuf;
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message Duration { int64 seconds = 1; int32 nanos = 2; }
message FieldMask { repeated string paths = 1; }
message Empty {}
message Any { string type_url = 1; bytes value = 2; }
message Int64Value { int64 value = 1; }
message BoolValue { bool value = 1; }
message StringValue { string value = 1; }
enum NullValue { NULL_VALUE = 0; }
message Struct { map<string, Value> fields = 1; }
message Value {
  oneof kind {
    NullValue null_value = 1; double number_value = 2; string string_value = 3;
    bool bool_value = 4; Struct struct_value = 5; ListValue list_value = 6;
  }
}
message ListValue { repeated Value values = 1; }
message Known {
  Timestamp at = 1; Duration lasts = 2; FieldMask mask = 3; Empty nothing = 4; Any any = 5;
  Int64Value long = 6; BoolValue bool = 7; StringValue text = 8; Struct struct = 9;
  Value value = 10; ListValue list = 11; repeated Timestamp times = 12; repeated Value values = 13;
}
`;
