// The one list of what can be wrong with a token, in Envoy's words, which clients and logs see.

/** Each is the body of the answer as it stands. */
export type TokenProblem =
  | 'Jwt is missing'
  | 'Jwt not yet valid'
  | 'Jwt is expired'
  | 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'
  | 'Jwt header is an invalid Base64url encoded'
  | 'Jwt header is an invalid JSON'
  | 'Jwt header [alg] field is required and must be a string'
  | 'Jwt header [alg] is not supported'
  | 'Jwt header [kid] field is not a string'
  | 'Jwt payload is an invalid Base64url encoded'
  | 'Jwt payload is an invalid JSON'
  | 'Jwt payload [iss] field is not a string'
  | 'Jwt payload [sub] field is not a string'
  | 'Jwt payload [jti] field is not a string'
  | `Jwt payload [${'iat' | 'nbf' | 'exp'}] field is not an integer`
  | `Jwt payload [${'iat' | 'nbf' | 'exp'}] field is not a positive 64 bit integer`
  | 'Jwt payload [aud] field is not a string or string list'
  | 'Jwt signature is an invalid Base64url encoded'
  | 'Jwt ED25519 signature is wrong length'
  | 'Jwt issuer is not configured'
  | 'Audiences in Jwt are not allowed'
  | 'Jwt verification fails'
  | "Jwks doesn't have any valid public key"
  | "Jwks doesn't have key to match kid or alg from Jwt";

/** A wrong audience is 403: the token is genuine. Everything else is 401. */
export function statusOf(problem: TokenProblem): 401 | 403 {
  return problem === 'Audiences in Jwt are not allowed' ? 403 : 401;
}

/** Envoy's response code details: `jwt_authn_access_denied{Jwt_is_expired}`. */
export function detailsOf(problem: TokenProblem): string {
  return `jwt_authn_access_denied{${problem.replaceAll(' ', '_')}}`;
}
