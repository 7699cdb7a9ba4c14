// TLS in front of a protocol: certificates from files, read again by reload(); client certificates asked for and checked;
// handshakes that take too long cut off. Connections come from a listener and go, decrypted, to whoever accepts them.

import type { Socket } from "node:net";
import { createServer, type SecureContextOptions, type Server, type TLSSocket } from "node:tls";
import type { Log } from "../log.ts";
import { readTlsFiles, whyNotNow } from "../net/tls.ts";
import { reasonOf } from "../reason.ts";

export interface TlsOptions {
	readonly certificateFile: string;
	readonly keyFile: string;
	/** Client certificates are asked for, and have to be signed by these. */
	readonly caFile?: string;
	/** Whether a client may do without a certificate. Default "required". Means nothing without a caFile. */
	readonly verify?: "optional" | "required";
	/** A handshake that takes longer is cut off. Default 10,000. */
	readonly handshakeMs?: number;
}

const HANDSHAKE_MS = 10_000;

/** What OpenSSL says of bytes that are no TLS. */
const NO_TLS = /WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY|PACKET_LENGTH_TOO_LONG|RECORD_LENGTH|BAD_RECORD_TYPE/;

export class Tls {
	readonly #options: TlsOptions;
	readonly #log: Log;
	#context: SecureContextOptions;
	readonly #servers: Server[] = [];

	/** Throws GearmanError BAD_ARGUMENT when the files are not usable. */
	constructor(options: TlsOptions, log: Log) {
		this.#options = options;
		this.#log = log;
		this.#context = this.#read();
	}

	/** Handshakes from now on use the files as they are now; those in use stay when the new ones are not usable. */
	reload(): void {
		try {
			this.#context = this.#read();
			for (const server of this.#servers) server.setSecureContext(this.#context);
			this.#log.notice(`TLS certificates read again: ${this.#options.certificateFile}`);
		} catch (error) {
			this.#log.error(`The old TLS certificates stay: ${error instanceof Error ? error.message : error}`);
		}
	}

	#read(): SecureContextOptions {
		const context = readTlsFiles(this.#options);
		const why = whyNotNow(this.#options.certificateFile);
		if (why !== undefined) this.#log.caution(`TLS: ${why}`);
		return context;
	}

	/** Shakes hands with what it is called with, and hands on what is secure then. */
	wrap(accept: (socket: TLSSocket) => void): (plain: Socket) => void {
		const isChecked = this.#options.caFile !== undefined;
		const isRequired = this.#options.verify !== "optional";
		const server = createServer({
			...this.#context,
			requestCert: isChecked,
			rejectUnauthorized: isChecked && isRequired,
			handshakeTimeout: this.#options.handshakeMs ?? HANDSHAKE_MS,
		});
		this.#servers.push(server);
		server.on("secureConnection", (socket) => {
			socket.on("error", () => {}); // whoever accepts it listens too; it may be refused before
			// Optional: a certificate may be missing, but not be wrong.
			if (isChecked && !socket.authorized && Object.keys(socket.getPeerCertificate()).length > 0) {
				this.#refused(socket, String(socket.authorizationError));
				socket.destroy();
			} else accept(socket);
		});
		server.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
			const { code = "" } = error;
			if (code === "ECONNRESET") return; // it left: nobody's fault
			if (NO_TLS.test(code)) this.#refused(socket, "it does not speak TLS");
			else if (code === "ERR_TLS_HANDSHAKE_TIMEOUT") this.#refused(socket, "its TLS handshake took too long");
			else this.#refused(socket, reasonOf(error));
			socket.destroy();
		});
		return (plain) => server.emit("connection", plain);
	}

	#refused(socket: TLSSocket, why: string): void {
		this.#log.errorOnceASecond(`TLS: ${socket.remoteAddress} is refused: ${why}`, "TLS");
	}
}
