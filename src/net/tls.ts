// TLS: certificate files read and checked, the client's handshake, and why it failed in words. Loaded only where TLS is
// spoken.

import { constants, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIPv4, type Socket } from "node:net";
import { checkServerIdentity, connect, createSecureContext, type SecureContextOptions, type TLSSocket } from "node:tls";
import { GearmanError } from "../errors.ts";
import { reasonOf } from "../reason.ts";

export interface TlsFiles {
	/** Certificates to trust (PEM). Without it: those Node trusts. */
	readonly caFile?: string;
	/** Own certificate (PEM). */
	readonly certificateFile?: string;
	/** Own private key (PEM). */
	readonly keyFile?: string;
}

/** What is in the files. Throws GearmanError BAD_ARGUMENT, naming the file that cannot be used. */
export function readTlsFiles({ caFile, certificateFile, keyFile }: TlsFiles): SecureContextOptions {
	const parts = [
		[caFile, "ca"],
		[certificateFile, "cert"],
		[keyFile, "key"],
	] as const;
	// Who renegotiates (TLS 1.2) has us shake hands again for as long as he likes, and nobody needs it.
	const context: SecureContextOptions = {
		minVersion: "TLSv1.2",
		secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
	};
	for (const [file, part] of parts) {
		if (file === undefined) continue;
		context[part] = readFile(file);
		check(file, { [part]: context[part] }, part === "ca" ? () => new X509Certificate(readFile(file)) : undefined);
	}
	if (certificateFile !== undefined && keyFile !== undefined) {
		check(keyFile, context, undefined, `it does not belong to ${certificateFile}`);
	}
	if ((certificateFile === undefined) !== (keyFile === undefined)) {
		const [given, missing] = keyFile === undefined ? ["certificate", "key"] : ["key", "certificate"];
		throw new GearmanError("BAD_ARGUMENT", `--ssl-${given} is of no use without --ssl-${missing}`);
	}
	return context;
}

/** What is wrong with a certificate's dates; undefined when it is good now. OpenSSL takes it at any time. */
export function whyNotNow(certificateFile: string): string | undefined {
	const { validFrom, validTo } = new X509Certificate(readFile(certificateFile));
	if (Date.parse(validTo) < Date.now()) return `${certificateFile} has expired: it was good until ${validTo}`;
	if (Date.parse(validFrom) > Date.now()) return `${certificateFile} is not valid yet: it is good from ${validFrom}`;
	return undefined;
}

function readFile(path: string): Buffer {
	try {
		return readFileSync(path);
	} catch (error) {
		throw new GearmanError("BAD_ARGUMENT", `could not read ${path}: ${reasonOf(error)}`, { cause: error });
	}
}

/** `prove` throws too when the file is wrong: as trusted certificates OpenSSL takes anything. */
function check(file: string, context: SecureContextOptions, prove?: () => unknown, mismatch?: string): void {
	try {
		createSecureContext(context);
		prove?.();
	} catch (error) {
		const { code = "", message } = error as NodeJS.ErrnoException;
		const why = code.endsWith("NO_START_LINE")
			? "there is nothing of that kind in it (PEM)"
			: /(BAD_DECRYPT|INTERRUPTED_OR_CANCELLED)$/.test(code)
				? "it is locked by a passphrase"
				: (mismatch ?? `it is damaged, or of a kind that is not taken (${code || message})`);
		throw new GearmanError("BAD_ARGUMENT", `${file} cannot be used for TLS: ${why}`, { cause: error });
	}
}

/**
 * Shakes hands as client; the server's certificate has to be one for `host`. On this machine one of the given CA is enough:
 * nobody is in between, and certificates made by oneself seldom name 127.0.0.1. Its errors tell what went wrong.
 */
export function shakeHands(socket: Socket, host: string, isAddress: boolean, context: SecureContextOptions): TLSSocket {
	const isNameFree = context.ca !== undefined && isLoopback(host);
	const secure = connect({
		...context,
		socket,
		host,
		servername: isAddress ? "" : host,
		checkServerIdentity: isNameFree ? () => undefined : checkServerIdentity,
	});
	secure.on("error", () => {}); // whoever waits for secureConnect listens too
	return secure;
}

function isLoopback(host: string): boolean {
	return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

const REASONS: Readonly<Record<string, string>> = {
	CERT_HAS_EXPIRED: "its certificate has expired",
	CERT_NOT_YET_VALID: "its certificate is not valid yet",
	DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is signed by itself and not trusted here: see --ssl-ca-file",
	ECONNRESET: "it broke off the TLS handshake: does this port speak TLS?",
	ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS: leave out -S (--ssl), or name its TLS port",
	ERR_SSL_PACKET_LENGTH_TOO_LONG: "it does not speak TLS: leave out -S (--ssl), or name its TLS port",
	ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: "it speaks no version of TLS from 1.2 on",
	ERR_SSL_UNSUPPORTED_PROTOCOL: "it speaks no version of TLS from 1.2 on",
	SELF_SIGNED_CERT_IN_CHAIN: "its certificate is signed by a CA that is not trusted here: see --ssl-ca-file",
	UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "its certificate is signed by a CA that is not trusted here: see --ssl-ca-file",
	UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate is signed by a CA that is not trusted here: see --ssl-ca-file",
};

/** Why a handshake failed; undefined for what is no matter of TLS. */
export function handshakeReason(error: unknown, host: string): string | undefined {
	if (!(error instanceof Error)) return undefined;
	const { code = "" } = error as NodeJS.ErrnoException;
	if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return `its certificate is not for ${host}: ${namesIn(error)}`;
	if (code.endsWith("ALERT_CERTIFICATE_REQUIRED")) return "it wants a certificate: see --ssl-certificate and --ssl-key";
	if (/ALERT.*(CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE)/.test(code)) {
		return "it does not accept our certificate: see --ssl-certificate and --ssl-key";
	}
	return REASONS[code];
}

function namesIn(error: Error & { cert?: { subject?: { CN?: string | string[] }; subjectaltname?: string } }): string {
	const { subject, subjectaltname } = error.cert ?? {};
	const names = subjectaltname ?? (subject?.CN === undefined ? undefined : `CN:${subject.CN}`);
	return names === undefined ? "it names nobody" : `it names ${names}`;
}
