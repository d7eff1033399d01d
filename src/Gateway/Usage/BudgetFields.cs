using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>Reads a budget from the body of a request. Pure.</summary>
public static class BudgetFields
{
    private const int MaxName = 100;
    private const double MaxLimit = 1_000_000_000_000;

    private static readonly string[] Names = ["name", "scope", "target", "unit", "window", "limit", "webhook"];

    /// <summary>Reads a body. The errors name each invalid field.</summary>
    /// <param name="body">The body.</param>
    /// <param name="id">The id of the budget.</param>
    public static (Budget Budget, List<FieldError> Errors) Read(JsonNode? body, string id)
    {
        var errors = new List<FieldError>();
        var none = new Budget { Id = id, Limit = 1 };
        if (body is not JsonObject given)
            return (none, [new FieldError("(all)", body?.ToJsonString() ?? "", "an object with fields")]);
        foreach (var (field, value) in given)
            if (!Names.Contains(field))
                errors.Add(new FieldError(field, Text(value), $"a known field ({string.Join(", ", Names)})"));
        var name = String(given["name"], "");
        if (name is null || name.Length > MaxName)
            errors.Add(new FieldError("name", Text(given["name"]), $"a text of at most {MaxName} characters"));
        var scope = Choose<BudgetScope>(given, "scope", "gateway, endpoint, key or tag", errors);
        var unit = Choose<BudgetUnit>(given, "unit", "requests, tokens, workerSeconds or money", errors);
        var window = Choose<UsageStep>(given, "window", "day, week or month", errors);
        if (window == UsageStep.Hour) errors.Add(new FieldError("window", "hour", "day, week or month"));
        var target = String(given["target"], "") ?? "";
        if (target.Length > 200 || (scope == BudgetScope.Gateway) != (target.Length == 0)
            || (scope == BudgetScope.Tag && target.IndexOf('=', StringComparison.Ordinal) <= 0))
            errors.Add(new FieldError("target", Text(given["target"]), scope switch
            {
                BudgetScope.Gateway => "nothing: the budget is of the whole gateway",
                BudgetScope.Endpoint => "the id of an endpoint",
                BudgetScope.Key => "the id of a key, or \"public\"",
                _ => "a tag of keys, like \"team=vision\"",
            }));
        var limit = given["limit"] is JsonValue number && number.GetValueKind() == JsonValueKind.Number
            && number.TryGetValue<double>(out var read) ? read : 0;
        var isWhole = unit is BudgetUnit.Requests or BudgetUnit.Tokens;
        var most = isWhole ? MaxLimit : MaxLimit / 1_000_000;
        if (!(limit > 0 && limit <= most) || (isWhole && limit != Math.Floor(limit)))
            errors.Add(new FieldError("limit", Text(given["limit"]),
                $"a {(isWhole ? "whole " : "")}number above 0, at most {most:0}"));
        var webhook = String(given["webhook"], "");
        if (webhook is null || webhook.Length > 2000)
            errors.Add(new FieldError("webhook", Text(given["webhook"]), "a URL of at most 2,000 characters"));
        return (none with
        {
            Name = name ?? "",
            Scope = scope,
            Target = target,
            Unit = unit,
            Window = window,
            Limit = limit,
            Webhook = webhook ?? "",
        }, errors);
    }

    /// <summary>
    /// Returns an error for each field that a budget cannot change: what is used of it would be that of other requests.
    /// </summary>
    /// <param name="current">The budget.</param>
    /// <param name="next">The budget that replaces it.</param>
    public static IEnumerable<FieldError> Compare(Budget current, Budget next)
    {
        foreach (var (field, was, value) in new[]
        {
            ("scope", BudgetView.TextOf(current.Scope), BudgetView.TextOf(next.Scope)),
            ("target", current.Target, next.Target),
            ("unit", BudgetView.TextOf(current.Unit), BudgetView.TextOf(next.Unit)),
            ("window", BudgetView.TextOf(current.Window), BudgetView.TextOf(next.Window)),
        })
            if (was != value)
                yield return new FieldError(
                    field, $"\"{value}\"", $"\"{was}\" as before: create another budget instead");
    }

    private static T Choose<T>(JsonObject given, string field, string expected, List<FieldError> errors)
        where T : struct, Enum
    {
        if (String(given[field], null) is { Length: > 0 } text && text.All(char.IsAsciiLetter)
            && Enum.TryParse<T>(text, ignoreCase: true, out var value)) return value;
        errors.Add(new FieldError(field, Text(given[field]), expected));
        return default;
    }

    private static string? String(JsonNode? node, string? missing) => node is null ? missing
        : node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    private static string Text(JsonNode? node) => node?.ToJsonString() ?? "";
}
