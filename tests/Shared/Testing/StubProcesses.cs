using System.Globalization;

namespace Sluice.Testing;

/// <summary>Finds the stub workers that run on the machine, independently of any record.</summary>
public static class StubProcesses
{
    /// <summary>Returns the ids of the processes that have this log in their environment, in order.</summary>
    public static List<int> Of(string log)
    {
        var found = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder.AsSpan()), CultureInfo.InvariantCulture, out var id)) continue;
            try
            {
                var environment = File.ReadAllText(folder + "/environ");
                if (environment.Contains($"STUB_LOG={log}\0", StringComparison.Ordinal)) found.Add(id);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // The process has just exited.
            }
        }

        return [.. found.Order()];
    }
}
