using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Core.Workers.Docker;

/// <summary>How far a pull is, from the lines that the daemon tells.</summary>
internal sealed class ImagePull(string image)
{
    private readonly Dictionary<string, (long Bytes, long Total, bool Done)> layers = [];

    /// <summary>Why it failed; null so far.</summary>
    public string? Error { get; private set; }

    /// <summary>In words, for who waits.</summary>
    public string Words
    {
        get
        {
            if (layers.Count == 0) return $"pulling image {image}";
            var (bytes, total) = (layers.Values.Sum(l => l.Bytes), layers.Values.Sum(l => l.Total));
            return string.Create(CultureInfo.InvariantCulture,
                $"pulling image {image}: {bytes >> 20} of {total >> 20} MiB, {layers.Values.Count(l => l.Done)} of {layers.Count} layers");
        }
    }

    /// <summary>Takes one line.</summary>
    public void Take(string line)
    {
        JsonNode? told;
        try
        {
            told = JsonNode.Parse(line);
        }
        catch (JsonException)
        {
            return;
        }

        Error = (string?)told?["errorDetail"]?["message"] ?? (string?)told?["error"] ?? Error;
        if ((string?)told?["id"] is not { } id || (string?)told["status"] is not { } status) return;
        var (bytes, total) = ((long?)told["progressDetail"]?["current"], (long?)told["progressDetail"]?["total"]);
        layers.TryGetValue(id, out var known);
        switch (status)
        {
            case "Pulling fs layer" or "Waiting":
                layers[id] = known;
                break;
            case "Downloading":
                layers[id] = known with { Bytes = bytes ?? known.Bytes, Total = total ?? known.Total };
                break;
            case "Pull complete" or "Already exists":
                layers[id] = known with { Bytes = known.Total, Done = true };
                break;
        }
    }
}
