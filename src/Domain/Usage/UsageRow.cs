namespace Sluice.Domain.Usage;

/// <summary>Whose usage of an endpoint a sum of the ledger is.</summary>
/// <param name="Key">The id of the API key, or <c>public</c>; empty: the time of workers, which no key has.</param>
/// <param name="Model">The name of the model; empty: unknown, or no worker ran the job.</param>
/// <param name="Gpu">
/// The devices of the worker, such as <c>H100</c>, <c>2xH100</c>, or <c>0.5xL4</c> for half of the memory of one;
/// empty: it has none.
/// </param>
public readonly record struct UsageRow(string Key, string Model, string Gpu)
{
    /// <summary>The text in the fields of the ledger: <c>key|model|GPU</c>.</summary>
    public string Text => $"{Safe(Key)}|{Safe(Model)}|{Safe(Gpu)}";

    /// <summary>Parses a field of the ledger. Null: it has another form.</summary>
    public static (UsageRow Row, string Quantity)? Parse(string field) =>
        field.Split('|') is [var key, var model, var gpu, var quantity]
            ? (new UsageRow(key, model, gpu), quantity)
            : null;

    private static string Safe(string part) =>
        part is null ? "" : part.Contains('|', StringComparison.Ordinal) ? part.Replace('|', '/') : part;
}
