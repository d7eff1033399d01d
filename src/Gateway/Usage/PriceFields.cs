using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Domain.Declarations;
using Sluice.Domain.Usage;

namespace Sluice.Gateway.Usage;

/// <summary>Reads a table of prices from the body of a request. Pure.</summary>
public static class PriceFields
{
    /// <summary>The most prices of the table.</summary>
    private const int MaxPrices = 1000;

    private const double MaxPerHour = 1_000_000;

    /// <summary>Reads a body. The errors name each invalid field.</summary>
    public static (PriceTable Table, List<FieldError> Errors) Read(JsonNode? body)
    {
        var errors = new List<FieldError>();
        if (body is not JsonObject given)
            return (PriceTable.Empty, [new FieldError("(all)", Text(body), "an object with currency and prices")]);
        foreach (var (name, value) in given)
            if (name is not ("currency" or "prices"))
                errors.Add(new FieldError(name, Text(value), "a known field (currency, prices)"));
        var currency = String(given["currency"]);
        if (currency is null || currency.Length != 3 || !currency.All(char.IsAsciiLetterUpper))
            errors.Add(new FieldError("currency", Text(given["currency"]), "three upper-case letters, like \"EUR\""));
        var prices = new List<Price>();
        if (given["prices"] is JsonArray { Count: <= MaxPrices } items)
            for (var i = 0; i < items.Count; i++) ReadPrice(items[i], $"prices[{i}]", prices, errors);
        else
            errors.Add(new FieldError("prices", Text(given["prices"]), $"a list of at most {MaxPrices} prices"));
        return (new PriceTable(currency ?? "", prices), errors);
    }

    private static void ReadPrice(JsonNode? node, string path, List<Price> prices, List<FieldError> errors)
    {
        var before = errors.Count;
        if (node is not JsonObject given)
        {
            errors.Add(new FieldError(path, Text(node), "an object with gpu, from and perHour"));
            return;
        }

        foreach (var (name, value) in given)
            if (name is not ("gpu" or "from" or "perHour"))
                errors.Add(new FieldError($"{path}.{name}", Text(value), "a known field (gpu, from, perHour)"));
        var gpu = String(given["gpu"]);
        if (gpu is not { Length: > 0 and <= 100 } || gpu.Contains('|', StringComparison.Ordinal))
            errors.Add(new FieldError($"{path}.gpu", Text(given["gpu"]),
                "a type of GPU, like \"H100\", or \"cpu\" for workers without GPUs"));
        DateTimeOffset from = default;
        if (given["from"] is { } at && !(String(at) is not null && at.AsValue().TryGetValue(out from)))
            errors.Add(new FieldError($"{path}.from", Text(at), "a time, like \"2026-12-01T00:00:00Z\""));
        if (!(given["perHour"] is JsonValue number && number.GetValueKind() == JsonValueKind.Number
            && number.TryGetValue<double>(out var perHour) && perHour is >= 0 and <= MaxPerHour))
        {
            errors.Add(new FieldError(
                $"{path}.perHour", Text(given["perHour"]), $"a number from 0 to {MaxPerHour:0}"));
            return;
        }

        if (errors.Count == before) prices.Add(new Price(gpu!, from.ToUniversalTime(), perHour));
    }

    private static string? String(JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    private static string Text(JsonNode? node) => node?.ToJsonString() ?? "";
}
