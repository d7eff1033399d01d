using System.Runtime.InteropServices;

namespace Sluice.Storage.Jobs;

/// <summary>Converts payloads to arguments of scripts.</summary>
internal static class PayloadBytes
{
    /// <summary>Returns an array with exactly these bytes: the underlying array if they fill it, or a copy.</summary>
    public static byte[] ToExactArray(this ReadOnlyMemory<byte> value) =>
        MemoryMarshal.TryGetArray(value, out var a) && a.Offset == 0 && a.Count == a.Array!.Length
            ? a.Array!
            : value.ToArray();
}
