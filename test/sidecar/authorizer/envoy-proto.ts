// Envoy's Check messages as protobufjs knows them, to compare ours with: the fields of the published .proto files.
import { createRequire } from 'node:module';

interface MessageType {
  encode(value: object): { finish(): Uint8Array };
  decode(bytes: Uint8Array): object;
  toObject(value: object, options: object): Record<string, unknown>;
  fromObject(value: object): object;
}

interface Protobuf {
  parse(text: string): { readonly root: { lookupType(name: string): MessageType } };
}

/** It comes with grpc-js, by way of its loader of .proto files. */
const fromGrpc = createRequire(createRequire(import.meta.url).resolve('@grpc/grpc-js'));
const fromLoader = createRequire(fromGrpc.resolve('@grpc/proto-loader'));
const protobuf = fromLoader('protobufjs') as Protobuf;

const { root } = protobuf.parse(`
syntax = "proto3";
message BoolValue { bool value = 1; }
message Timestamp { int64 seconds = 1; int32 nanos = 2; }
message SocketAddress { int32 protocol = 1; string address = 2; uint32 port_value = 3; }
message Address { SocketAddress socket_address = 1; }
message Peer {
  Address address = 1; string service = 2; map<string, string> labels = 3;
  string principal = 4; string certificate = 5;
}
message HttpRequest {
  string id = 1; string method = 2; map<string, string> headers = 3; string path = 4;
  string host = 5; string scheme = 6; string query = 7; string fragment = 8; int64 size = 9;
  string protocol = 10; string body = 11; bytes raw_body = 12;
}
message Request { Timestamp time = 1; HttpRequest http = 2; }
message AttributeContext {
  Peer source = 1; Peer destination = 2; Request request = 4;
  map<string, string> context_extensions = 10;
}
message CheckRequest { AttributeContext attributes = 1; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message HeaderValueOption {
  HeaderValue header = 1; BoolValue append = 2; int32 append_action = 3; bool keep_empty_value = 4;
}
message HttpStatus { int32 code = 1; }
message DeniedHttpResponse {
  HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3;
}
message Any { string type_url = 1; bytes value = 2; }
message QueryParameter { string key = 1; string value = 2; }
message OkHttpResponse {
  repeated HeaderValueOption headers = 2; Any dynamic_metadata = 3;
  repeated string headers_to_remove = 5; repeated HeaderValueOption response_headers_to_add = 6;
  repeated QueryParameter query_parameters_to_set = 7;
  repeated string query_parameters_to_remove = 8;
}
message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
message CheckResponse {
  Status status = 1;
  oneof http_response { DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; }
  Any dynamic_metadata = 4;
}
`);

export function decodeRequest(bytes: Uint8Array): Record<string, unknown> {
  const type = root.lookupType('CheckRequest');
  return type.toObject(type.decode(bytes), { longs: Number, bytes: String, objects: true });
}

/** @param response fields in camel case, as protobufjs names them */
export function encodeResponse(response: object): Buffer {
  const type = root.lookupType('CheckResponse');
  return Buffer.from(type.encode(type.fromObject(response)).finish());
}
