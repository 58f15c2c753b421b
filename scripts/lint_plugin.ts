/**
 * The project's own lint rules: taste as code.
 *
 * @see https://docs.deno.com/runtime/reference/lint_plugins/
 */

/** FFI and process starts have one place each. */
function effectRule(name: "dlopen" | "Command"): Deno.lint.Rule {
  return {
    create(context) {
      const file = context.filename;
      if (!file.includes("/src/") || file.includes("/src/linux/") || file.endsWith("_test.ts")) return {};
      return {
        MemberExpression(node) {
          if (node.object.type !== "Identifier" || node.object.name !== "Deno") return;
          if (node.property.type !== "Identifier" || node.property.name !== name) return;
          const hint = "Move the call into src/linux, the only folder that knows the kernel and starts processes";
          context.report({ node, message: `Deno.${name} outside src/linux`, hint });
        },
      };
    },
  };
}

const privateFields: Deno.lint.Rule = {
  create(context) {
    const report = (node: Deno.lint.PropertyDefinition | Deno.lint.MethodDefinition) => {
      if (node.accessibility !== "private") return;
      context.report({ node, message: "`private` is only a type: use a #private name" });
    };
    return { PropertyDefinition: report, MethodDefinition: report };
  },
};

const topLevelFunctions: Deno.lint.Rule = {
  create(context) {
    return {
      "Program > VariableDeclaration, Program > ExportNamedDeclaration > VariableDeclaration"(
        node: Deno.lint.VariableDeclaration,
      ) {
        for (const { init } of node.declarations) {
          if (init?.type !== "ArrowFunctionExpression" && init?.type !== "FunctionExpression") continue;
          context.report({ node, message: "A function of the module is declared with `function`, not as a constant" });
        }
      },
    };
  },
};

/** `Cannot X "y": why` - capital or own name first, no period at the end, no exclamation. */
const errorMessages: Deno.lint.Rule = {
  create(context) {
    return {
      "ThrowStatement > NewExpression"(node: Deno.lint.NewExpression) {
        const message = node.arguments.find((argument) =>
          (argument.type === "Literal" && typeof argument.value === "string" && argument.value.includes(" ")) ||
          argument.type === "TemplateLiteral"
        );
        const text = message?.type === "TemplateLiteral"
          ? message.quasis.at(-1)?.cooked ?? ""
          : message?.type === "Literal"
          ? String(message.value)
          : "";
        if (/[.!]$/.test(text)) context.report({ node, message: "An error message ends without a period" });
        const first = message?.type === "TemplateLiteral" ? message.quasis[0]?.cooked ?? "" : text;
        if (/^(failed|unable|could not|can't|error)\b/i.test(first)) {
          context.report({ node, message: 'An error message says what we could not do: "Cannot X "y": why"' });
        }
      },
    };
  },
};

/** A comment names what it is about before anything stands for it. */
const commentOpenings: Deno.lint.Rule = {
  create(context) {
    if (!/\/(?:src|tests|scripts)\/|\/main\.ts$/.test(context.filename)) return {};
    return {
      Program() {
        for (const comment of context.sourceCode.getAllComments()) {
          if (comment.type !== "Block" || !comment.value.startsWith("*")) continue;
          if (!/^[\s*]*(?:Who|Whoever|What|Whatever|Those|That|The same|Its|Theirs)\b/.test(comment.value)) continue;
          context.report({
            range: comment.range,
            message: "A comment begins with a noun or a verb, not with a pronoun",
          });
        }
      },
    };
  },
};

const plugin: Deno.lint.Plugin = {
  name: "kata",
  rules: {
    "ffi-in-linux": effectRule("dlopen"),
    "spawn-in-linux": effectRule("Command"),
    "private-fields": privateFields,
    "top-level-functions": topLevelFunctions,
    "error-messages": errorMessages,
    "comment-openings": commentOpenings,
  },
};
export default plugin;
