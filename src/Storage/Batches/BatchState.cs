using System.Globalization;
using Sluice.Domain.Batches;
using StackExchange.Redis;

namespace Sluice.Storage.Batches;

/// <summary>A stored batch, as it was at one moment.</summary>
public sealed record BatchState
{
    public required string Id { get; init; }

    /// <summary>The id of the API key that created it.</summary>
    public required string Owner { get; init; }

    /// <summary>What the client asked, as JSON.</summary>
    public required string Request { get; init; }

    /// <summary>The input file.</summary>
    public required string InputFile { get; init; }

    /// <summary>The reference to the bytes of the input.</summary>
    public required string InputBlob { get; init; }

    /// <summary>One of the values of <see cref="BatchStatus"/>.</summary>
    public required string Status { get; init; }

    public DateTimeOffset Created { get; init; }

    public DateTimeOffset Expires { get; init; }

    /// <summary>When the batch entered a status, in Unix seconds.</summary>
    public required IReadOnlyDictionary<string, long> Entered { get; init; }

    /// <summary>The number of lines; 0: they are not validated yet.</summary>
    public int Total { get; init; }

    public int Completed { get; init; }

    public int Failed { get; init; }

    /// <summary>Why the input is not valid, as JSON; null: it is valid, or not validated yet.</summary>
    public string? Errors { get; init; }

    public string? OutputFile { get; init; }

    public string? ErrorFile { get; init; }

    /// <summary>Reads the hash of a batch; null: it does not exist.</summary>
    internal static BatchState? Read(string id, HashEntry[] entries)
    {
        var fields = entries.ToDictionary(e => e.Name.ToString(), e => e.Value.ToString());
        if (!fields.TryGetValue("request", out var request)) return null;
        return new BatchState
        {
            Id = id,
            Owner = fields["owner"],
            Request = request,
            InputFile = fields["file"],
            InputBlob = fields["blob"],
            Status = fields["status"],
            Created = DateTimeOffset.FromUnixTimeMilliseconds(Number("created")),
            Expires = DateTimeOffset.FromUnixTimeMilliseconds(Number("expires")),
            Entered = BatchStatus.All.Where(s => fields.ContainsKey(s + "_at"))
                .ToDictionary(s => s, s => Number(s + "_at")),
            Total = (int)Number("total"),
            Completed = (int)Number("completed"),
            Failed = (int)Number("failed"),
            Errors = fields.GetValueOrDefault("errors"),
            OutputFile = fields.GetValueOrDefault("output"),
            ErrorFile = fields.GetValueOrDefault("error"),
        };

        long Number(string name) =>
            fields.TryGetValue(name, out var text) ? long.Parse(text, CultureInfo.InvariantCulture) : 0;
    }
}
