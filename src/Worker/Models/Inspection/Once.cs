namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Refuses a singular field that comes twice: protobuf merges or replaces, and what is merged was never seen whole by the
/// checks. No serialiser writes such a file.
/// </summary>
internal struct Once
{
    private ulong seen;

    public void Check(ProtoReader reader, ProtoField field)
    {
        var bit = 1UL << field.Number;
        if ((seen & bit) != 0) throw reader.Refuse($"protobuf field {field.Number} comes twice, at byte {reader.Position}", "once");
        seen |= bit;
    }
}
