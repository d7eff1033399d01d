using System.Text;

namespace Sluice.Testing;

/// <summary>Server-sent events as <c>id|event|data</c>.</summary>
public static class Events
{
    public static async Task<List<string>> ReadAsync(Stream stream, int most = int.MaxValue)
    {
        var events = new List<string>();
        var (id, name, data) = ("", "", new StringBuilder());
        using var reader = new StreamReader(stream);
        while (events.Count < most && await reader.ReadLineAsync() is { } line)
        {
            if (line.StartsWith("id: ", StringComparison.Ordinal)) id = line[4..];
            else if (line.StartsWith("event: ", StringComparison.Ordinal)) name = line[7..];
            else if (line.StartsWith("data: ", StringComparison.Ordinal)) data.Append(line[6..]);
            else if (line.Length == 0 && data.Length > 0)
            {
                events.Add($"{id}|{name}|{data}");
                (id, name) = ("", "");
                data.Clear();
            }
        }

        return events;
    }
}
