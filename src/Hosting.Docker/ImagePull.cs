using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Sluice.Hosting.Docker;

/// <summary>Tracks the progress of an image pull from the JSON lines that the daemon sends.</summary>
internal sealed class ImagePull(string image)
{
    private readonly Dictionary<string, (long Bytes, long Total, bool Done)> layers = [];

    /// <summary>Why the pull failed; null if it has not.</summary>
    public string? Error { get; private set; }

    /// <summary>Describes the progress, for operators.</summary>
    public string Description
    {
        get
        {
            if (layers.Count == 0) return $"pulling image {image}";
            var (bytes, total) = (layers.Values.Sum(l => l.Bytes), layers.Values.Sum(l => l.Total));
            var done = layers.Values.Count(l => l.Done);
            return string.Create(CultureInfo.InvariantCulture,
                $"pulling image {image}: {bytes >> 20} of {total >> 20} MiB, {done} of {layers.Count} layers");
        }
    }

    /// <summary>Processes one line of the daemon's response; a line that is not JSON is ignored.</summary>
    public void ReadLine(string line)
    {
        JsonNode? entry;
        try
        {
            entry = JsonNode.Parse(line);
        }
        catch (JsonException)
        {
            return;
        }

        Error = (string?)entry?["errorDetail"]?["message"] ?? (string?)entry?["error"] ?? Error;
        if ((string?)entry?["id"] is not { } id || (string?)entry["status"] is not { } status) return;
        var (bytes, total) = ((long?)entry["progressDetail"]?["current"], (long?)entry["progressDetail"]?["total"]);
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
