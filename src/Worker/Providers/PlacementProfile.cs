using System.Globalization;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace Sluice.Worker.Providers;

/// <summary>
/// Determines which provider runs which node from ONNX Runtime's profile of a session's first run. Profiling ends
/// with that run, so served requests are not slowed down. ONNX Runtime's record of assignments (<see
/// cref="PlacementReader"/>) needs no run, but omits nodes that a provider took while it changed the layout (seen
/// with WebGPU: 2 of 12 nodes). The record is used where it is complete: with the CPU alone, and for nodes that
/// TensorRT fused into one node. Branches that the run did not take are not counted.
/// </summary>
public sealed class PlacementProfile : IDisposable
{
    /// <summary>Nodes that ONNX Runtime inserts between providers. They are not nodes of the model.</summary>
    private static readonly string[] Copies = ["MemcpyToHost", "MemcpyFromHost"];

    private readonly string? prefix;

    private PlacementProfile(string? prefix) => this.prefix = prefix;

    /// <summary>Prepares session options. Call this before the session is created.</summary>
    /// <param name="options">Options of the session.</param>
    /// <param name="cpuOnly">True if the options contain no provider except the CPU. No profile is then needed.</param>
    public static PlacementProfile Start(SessionOptions options, bool cpuOnly)
    {
        PlacementReader.EnableRecord(options);
        if (cpuOnly) return new PlacementProfile(null);
        var name = string.Create(
            CultureInfo.InvariantCulture,
            $"sluice-placement-{Environment.ProcessId}-{Guid.NewGuid():N}");
        var prefix = Path.Combine(Path.GetTempPath(), name);
        options.ProfileOutputPathPrefix = prefix;
        options.EnableProfiling = true;
        return new PlacementProfile(prefix);
    }

    /// <summary>
    /// Ends profiling and counts the nodes. Call this after the first run. Throws if the profile was not written.
    /// </summary>
    public ModelPlacement End(InferenceSession session)
    {
        var recorded = PlacementReader.Read(session);
        if (prefix is null) return recorded;
        var path = session.EndProfiling();
        try
        {
            using var file = File.OpenRead(path);
            var ran = Parse(file);
            var fused = recorded.Placed.Where(n => n.Provider == "tensorrt").ToList();
            if (fused.Count == 0) return new ModelPlacement(ran);
            return new ModelPlacement([.. fused, .. ran.Where(n => n.Provider != "tensorrt")]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new InvalidOperationException(
                $"the profile of the node placement cannot be read ({e.Message}): TMPDIR must be a writable folder", e);
        }
        finally
        {
            Dispose();
        }
    }

    /// <summary>Returns the nodes of a profile (an array of trace events) without duplicates.</summary>
    public static IReadOnlyList<PlacedNode> Parse(Stream profile)
    {
        using var document = JsonDocument.Parse(profile);
        var nodes = new Dictionary<(string, string), PlacedNode>();
        foreach (var happened in document.RootElement.EnumerateArray())
        {
            if (Text(happened, "cat") != "Node" || !happened.TryGetProperty("args", out var args)) continue;
            var (name, type) = (Text(happened, "name"), Text(args, "op_name"));
            if (!name.EndsWith("_kernel_time", StringComparison.Ordinal)) continue;
            if (type.Length == 0 || Copies.Contains(type)) continue;
            nodes[(name, Text(args, "node_index"))] =
                new PlacedNode(PlacementReader.ShortName(Text(args, "provider")), name[..^"_kernel_time".Length], type);
        }

        return [.. nodes.Values];
    }

    /// <summary>Deletes the profile of a session that never ran.</summary>
    public void Dispose()
    {
        if (prefix is null) return;
        foreach (var file in Directory.EnumerateFiles(Path.GetTempPath(), Path.GetFileName(prefix) + "*"))
            File.Delete(file);
    }

    private static string Text(JsonElement of, string name) =>
        of.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
