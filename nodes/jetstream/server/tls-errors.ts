import { say } from '../../shared/say';

/** What a failed TLS handshake means, by the code of Node or OpenSSL, and what to do. */
export function explainTls(code: string, message: string, servers: string): string {
  if (/UNABLE_TO_(VERIFY|GET_ISSUER)|SELF_SIGNED|CERT_(UNTRUSTED|SIGNATURE_FAILURE)|INVALID_CA/.test(code))
    return say`The certificate of ${servers} comes from an authority that is not trusted here: give its CA certificate to a TLS configuration, and choose that in the jetstream-server node`;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return say`The certificate of ${servers} is made out to another name (${namesIn(message)}): write that name in the address, or as the server name of the TLS configuration`;
  if (code === 'CERT_HAS_EXPIRED')
    return say`The certificate of ${servers} has expired: renew it on the server; if it is new, check the clock of this machine`;
  if (code === 'CERT_NOT_YET_VALID')
    return say`The certificate of ${servers} is not valid yet: check the clock of this machine and of the one that made it`;
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code))
    return say`${servers} does not begin with TLS: switch "TLS handshake first" off in the jetstream-server node, or handshake_first on in the server`;
  if (/ALERT_UNKNOWN_CA/.test(code))
    return say`${servers} does not trust the client certificate of the TLS configuration: use one whose authority is in the server's ca_file`;
  if (/ALERT_(CERTIFICATE_(REQUIRED|EXPIRED|UNKNOWN|REVOKED)|BAD_CERTIFICATE)/.test(code))
    return say`${servers} wants a valid client certificate (${alertIn(message)}): give certificate and key to the TLS configuration, or renew them`;
  if (/^ERR_OSSL/.test(code))
    return say`The certificate and key of the TLS configuration for ${servers} are unusable (${reasonIn(message)}): both have to be PEM texts that belong together, with the right passphrase`;
  return say`TLS with ${servers} failed (${reasonIn(message)}): check the CA, the name and the client certificate of its TLS configuration`;
}

/** "Hostname/IP does not match certificate's altnames: Host: a. is not in the cert's altnames: DNS:b, IP Address:c" */
function namesIn(message: string): string {
  return /(?:altnames: |cert's CN: |list: )(?!Host|IP:)(.+)$/.exec(message)?.[1] ?? message;
}

/** "40AD2B:error:0A00045C:SSL routines:ssl3_read_bytes:tlsv13 alert certificate required:../deps/…:SSL alert number 116" */
function alertIn(message: string): string {
  return /alert ([a-z ]+):/.exec(message)?.[1] ?? reasonIn(message);
}

function reasonIn(message: string): string {
  const [, reason] = /error:\w+:[^:]*:[^:]*:([^:]+)/.exec(message) ?? [];
  return reason ?? message.trim();
}
