using System.Runtime.InteropServices;
using System.Text.Json;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Standby;

/// <summary>
/// <c>standby</c>: a worker that has everything but its models. It rehearses, says so, and waits for one line on its input, a JSON object of
/// environment variables; then it is the worker that was started with them. What a cold start costs after that is its models' load.
/// Whoever holds the other end of its input is its owner: nobody else can speak to it, and when that end closes it ends.
/// </summary>
internal static partial class StandbyCommand
{
    public const string Verb = "standby";

    /// <summary>The devices come with the orders: until then no driver may be asked, for CUDA counts devices once.</summary>
    public const string DevicesLater = "--devices-later";

    /// <summary>What it says when it is ready to be handed its models.</summary>
    public const string Says = "standing by";

    /// <summary>True when it was given orders, which stand in its environment now; false: nobody needs it.</summary>
    public static async Task<bool> WaitAsync(bool devicesLater, TextReader orders, TextWriter said)
    {
        await Rehearsal.RunAsync(ProviderSettings.Read(Environment.GetEnvironmentVariable), devicesLater);
        await said.WriteLineAsync(Says);
        if (await orders.ReadLineAsync() is not { Length: > 0 } line) return false;
        foreach (var (name, value) in Parse(line))
        {
            // The runtime's own copy, and the one that native libraries read.
            Environment.SetEnvironmentVariable(name, value);
            if (SetEnvironment(name, value, 1) != 0) throw new InvalidOperationException($"the variable '{name}' cannot be set");
        }

        return true;
    }

    private static Dictionary<string, string> Parse(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.EnumerateObject().All(p => p.Value.ValueKind == JsonValueKind.String))
                return json.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => p.Value.GetString()!);
        }
        catch (JsonException)
        {
            // Told below; the line itself is not, it has the pod's token.
        }

        throw new InvalidOperationException("the standby's orders are not one line of JSON, an object of texts");
    }

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetEnvironment(string name, string value, int overwrite);
}
