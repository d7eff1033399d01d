using System.Globalization;

namespace Sluice.Testing;

/// <summary>The stub workers that the machine runs, whatever anybody says of them.</summary>
public static class StubProcesses
{
    /// <summary>Ids of the processes that have this log in their environment, in order.</summary>
    public static List<int> Of(string log)
    {
        var found = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder.AsSpan()), CultureInfo.InvariantCulture, out var id)) continue;
            try
            {
                if (File.ReadAllText(folder + "/environ").Contains($"STUB_LOG={log}\0", StringComparison.Ordinal)) found.Add(id);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // It has just ended.
            }
        }

        return [.. found.Order()];
    }
}
