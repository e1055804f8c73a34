// Every kind of difference between us and other readers that is as it should be, with its reason.
import type { Difference } from './reading.ts';

export interface Accepted {
  readonly name: string;
  readonly reason: string;
  matches(difference: Difference): boolean;
}

const textOf = ({ bytes }: Difference): string => bytes.toString('latin1');

export const accepted: readonly Accepted[] = [
  {
    name: 'h2c upgrade, read on by us',
    reason:
      'RFC 9110 7.8: an upgrade may be ignored, and the protocol changes only after a 101, which we ' +
      'never send for h2c. llhttp stops reading for whoever might accept.',
    matches: (difference) =>
      difference.kind === 'front: llhttp says upgrade' &&
      /^upgrade:[ \t]*h2c[ \t]*\r$/im.test(textOf(difference)),
  },
  {
    name: 'Proxy-Connection, which we ignore',
    reason:
      'RFC 9112 C.2.2: no standard field; we cut it unread. llhttp takes it for Connection, closes ' +
      'or upgrades, and reads nothing of what follows.',
    matches: (difference) =>
      /^front: llhttp says (HPE_CLOSED_CONNECTION|upgrade)$/.test(difference.kind) &&
      /^proxy-connection:.*(close|upgrade)/im.test(textOf(difference)),
  },
  {
    name: 'a fragment right after the authority',
    reason:
      'RFC 9112 3.2 knows no fragment in a target; we cut it as Istio has Envoy do, before policies and ' +
      'application see the path. llhttp refuses the request.',
    matches: (difference) =>
      difference.kind === 'front: llhttp says HPE_INVALID_URL' &&
      /^\S+ https?:\/\/[^/?#\s]+#/im.test(textOf(difference)),
  },
  {
    name: 'another proxy forwards what llhttp refuses',
    reason:
      'The way leads through that proxy alone: it passes on bytes that RFC 9112 2.2, 3 and 5 forbid, ' +
      'and we are not on it. In a row with us such bytes are refused by us, before or behind it.',
    matches: ({ kind }) => /^(envoy|haproxy|nginx): bytes that are HPE_/.test(kind),
  },
  {
    name: 'CONNECT through HAProxy alone',
    reason:
      'RFC 9110 9.3.6: what follows is bytes of a tunnel, which HAProxy opens and we do not; they carry ' +
      'no mark because they are no requests to it.',
    matches: (difference) =>
      difference.kind === 'haproxy: a request with 0 marks' &&
      /^CONNECT /m.test(textOf(difference)),
  },
  {
    name: 'the path in normal form',
    reason:
      'RFC 3986 6.2.2: we normalise a path as Istio has Envoy do (dot segments, unreserved ' +
      'characters, fragments), so that policies and applications see one; HAProxy and nginx pass it raw.',
    matches: ({ kind, detail }) =>
      /^(haproxy|nginx): path$/.test(kind) && /\/\.|%|#|\\\\|\?/.test(detail),
  },
  {
    name: 'Host beside an absolute target',
    reason:
      "RFC 9112 3.2.2: the target's authority replaces Host, for us and Envoy; nginx as configured " +
      'passes Host on.',
    matches: (difference) =>
      difference.kind === 'nginx: host' && /\S+ https?:\/\//i.test(textOf(difference)),
  },
  {
    name: 'the default port in an absolute target',
    reason:
      'RFC 9110 4.2.3: `a` and `a:443` are one origin under https. HAProxy cuts the port that the scheme ' +
      'implies, we and Envoy leave it.',
    matches: ({ kind, detail }) =>
      kind === 'haproxy: host' && /: "(.*):(?:80|443)" and "\1"$/.test(detail),
  },
];
