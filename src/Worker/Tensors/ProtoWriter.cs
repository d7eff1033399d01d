using System.Text;

namespace Sluice.Worker.Tensors;

/// <summary>Writes protobuf messages (protobuf.dev/programming-guides/encoding), for the worker's own models.</summary>
internal static class ProtoWriter
{
    public static byte[] Text(int field, string value) => Field(field, Encoding.UTF8.GetBytes(value));

    public static byte[] Field(int field, byte[] value) => Join(Varint(field << 3 | 2), Varint(value.Length), value);

    public static byte[] Number(int field, int value) => Join(Varint(field << 3), Varint(value));

    public static byte[] Join(params byte[][] parts) => [.. parts.SelectMany(p => p)];

    private static byte[] Varint(int value) =>
        value < 0x80 ? [(byte)value] : [(byte)(value | 0x80), .. Varint(value >> 7)];
}
