// Who may connect: --allow and --deny rules over addresses, Unix sockets and the names in client certificates.
// A deny that matches wins. With any allow at all, only what matches one comes in. Without rules everybody does.
//
//   10.0.0.0/8   ::1   192.0.2.7    an address, or a network
//   unix                            who comes through a Unix socket
//   name:web1   name:*.example.org  a name in a client certificate that was verified: its CN or a subject alternative name

import { BlockList, isIP, isIPv6 } from "node:net";
import type { TLSSocket } from "node:tls";
import { GearmanError } from "../errors.ts";

interface Rules {
	readonly addresses: BlockList;
	readonly names: readonly string[];
	readonly isForUnix: boolean;
	readonly isEmpty: boolean;
}

export class Access {
	readonly #allow: Rules;
	readonly #deny: Rules;
	/** Some rule is about names: without a certificate that was verified it can match nobody. */
	readonly needsNames: boolean;
	/** Whether there are any rules. */
	readonly isOpen: boolean;

	/** Throws GearmanError BAD_ARGUMENT. */
	constructor(allow: readonly string[] = [], deny: readonly string[] = []) {
		this.#allow = readRules("allow", allow);
		this.#deny = readRules("deny", deny);
		this.needsNames = this.#allow.names.length > 0 || this.#deny.names.length > 0;
		this.isOpen = this.#allow.isEmpty && this.#deny.isEmpty;
	}

	/**
	 * `address`: undefined for a Unix socket. `names`: those of its certificate, undefined while the handshake is still to
	 * come. True, false, or undefined when the names will tell.
	 */
	admits(address: string | undefined, names: readonly string[] | undefined): boolean | undefined {
		if (this.isOpen) return true;
		if (matchesAddress(this.#deny, address)) return false;
		if (names !== undefined && matchesName(this.#deny, names)) return false;
		const waits = names === undefined;
		if (this.#allow.isEmpty || matchesAddress(this.#allow, address)) {
			return waits && this.#deny.names.length > 0 ? undefined : true;
		}
		if (waits) return this.#allow.names.length > 0 ? undefined : false;
		return matchesName(this.#allow, names);
	}
}

/** "::ffff:10.0.0.1", as a socket for both families calls it, → "10.0.0.1". */
export function plainAddress(address: string): string {
	return address.startsWith("::ffff:") && address.includes(".") ? address.slice("::ffff:".length) : address;
}

/** The names a verified client certificate goes by: CN and subject alternative names. */
export function certificateNames(socket: TLSSocket): string[] {
	if (!socket.authorized) return [];
	const { subject, subjectaltname = "" } = socket.getPeerCertificate();
	// Node puts what could be mistaken for a separator into quotes; such names match no rule.
	const others = subjectaltname.split(", ").map((name) => /^(?:DNS|IP Address|email|URI):([^"]+)$/.exec(name)?.[1]);
	return [subject?.CN, ...others].flat().filter((name) => name !== undefined);
}

function readRules(option: string, texts: readonly string[]): Rules {
	const addresses = new BlockList();
	const names: string[] = [];
	let isForUnix = false;
	for (const text of texts.flatMap((list) => list.split(",").map((rule) => rule.trim()))) {
		if (text === "unix") isForUnix = true;
		else if (/^name:./.test(text)) names.push(text.slice("name:".length).toLowerCase());
		else addNetwork(addresses, option, text);
	}
	return { addresses, names, isForUnix, isEmpty: texts.length === 0 };
}

function addNetwork(list: BlockList, option: string, text: string): void {
	const [address = "", prefix, ...rest] = text.split("/");
	const family = isIP(address);
	const bits = family === 6 ? 128 : 32;
	const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
	if (family === 0 || rest.length > 0 || length < 0 || length > bits) {
		const expected = "expected an address, a network such as 10.0.0.0/8, unix, or name:NAME";
		throw new GearmanError("BAD_ARGUMENT", `--${option} "${text}" is no rule: ${expected}`);
	}
	list.addSubnet(address, length, family === 6 ? "ipv6" : "ipv4");
}

function matchesAddress(rules: Rules, address: string | undefined): boolean {
	if (address === undefined) return rules.isForUnix;
	const plain = plainAddress(address);
	return rules.addresses.check(plain, isIPv6(plain) ? "ipv6" : "ipv4");
}

function matchesName(rules: Rules, names: readonly string[]): boolean {
	return names.some((given) => {
		const name = given.toLowerCase();
		return rules.names.some((rule) =>
			rule.startsWith("*.") ? name.endsWith(rule.slice(1)) && name.length >= rule.length : name === rule,
		);
	});
}
