using System.Collections.Concurrent;

namespace Sluice.Worker.Models;

/// <summary>
/// Assigns numbers to input shapes. For a model with variable shapes, requests with equal numbers can be stacked.
/// </summary>
internal sealed class ShapeKeys(bool allEqual)
{
    /// <summary>
    /// Number of shapes that are remembered. Beyond it, the table is cleared and new numbers are assigned. Requests
    /// from before and after are then not stacked with each other.
    /// </summary>
    private const int Most = 4096;

    private readonly ConcurrentDictionary<string, int> keys = [];
    private int next;

    public int GetKey(IEnumerable<long[]> inputShapes)
    {
        if (allEqual) return 0;
        var text = string.Join(';', inputShapes.Select(s => string.Join(',', s.Skip(1))));
        if (keys.TryGetValue(text, out var key)) return key;
        if (keys.Count > Most) keys.Clear();
        return keys.GetOrAdd(text, _ => Interlocked.Increment(ref next));
    }
}
