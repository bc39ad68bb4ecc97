"""Pieces of TypeScript to build programs from: everything that can be erased, and what may grow together when it is."""

from __future__ import annotations

import random

PIECES = (
    "const names: string[] = ['a', 'b']",
    "let first: string | undefined, second!: number",
    "let list: Array<Map<string, number[]>> = []",
    "const table = new Map<string, () => void>()",
    "x as any",
    "x!",
    "value = x as unknown as string[]",
    "const w = z satisfies Shape",
    "(0, 5)",
    "[1].map(q => q)",
    "`text`",
    "/re/.test(z)",
    "-1",
    "++k",
    "{ k }",
    "type Shape = { a: 1; b?: string }",
    "type Key = keyof typeof x[number]",
    "type Cond<T> = T extends (infer U)[] ? U : never",
    "type Maker = new (...a: any[]) => object",
    "interface Both<T> extends One<T>, Two { m(): void; readonly [k: string]: any }",
    "declare const elsewhere: number",
    "declare function far(a: string): void",
    "function over(a: string): void\nfunction over(a?: any) { return a }",
    "function guard<T>(v: T): v is NonNullable<T> { return !!v }",
    "function sure(v: unknown): asserts v is string {}",
    "function mine(this: { a: number }, b?: number) { return this.a }",
    "const f1 = (a: number): {\n  x: number\n} => ({ x: a })",
    "const f2 = async <T,>(a?: T): Promise<\nT\n> => a",
    "const f3 = async <\nT\n>(a: T) => a",
    "const f4 = function <T>(...a: T[]): number { return a.length }",
    "abstract class Base<T> { abstract m(): T; abstract y: string; private z = 2; n() {} }",
    "class Kid<T> extends (Base as any)<T> implements A, B { override m?(): void {} }",
    "class Odd { a\n private ['b'] = 1\n static readonly c?: number = 2\n declare d: string\n [k: string]: any }",
    "class Gen { a = 1;\n public *g<T>(a?: T) {}\n static #p: number = 1; get q(): number { return Gen.#p } }",
    "for (const [i, j] of pairs as any) {}",
    "if (a as boolean) b!\nelse c",
    "try {} catch (e: unknown) { throw e as Error }",
    "a ? (b) : c => d",
    "const pick = a ? (b: number): number => b : null",
    "const { p, ...rest }: { p: 1 } = s as any",
    "obj?.a!.b?.[0]!",
    "await call<Shape>(x)",
    "(a < b) && (c > d)",
    "return x as Shape",
    "const o = { m<T>(x: T): T { return x }, get g(): number { return 1 } }",
    "const é: string = `${(1 as any) + 'ü'}` as string",
    "label: for (;;) { break label }",
    "let type = 1, as = 2, of = 3, declare = 4, readonly = 5",
    "type = 9",
)


def programs(count: int, seed: int) -> list[str]:
    """Random programs of a few pieces, mostly without semicolons between them."""
    rng = random.Random(seed)
    return [rng.choice(("\n", "\n", ";\n")).join(rng.choices(PIECES, k=rng.randint(1, 4))) for _ in range(count)]
