namespace Sluice.Worker.Models.Inspection;

/// <summary>
/// Rejects a singular field that occurs twice. Protobuf merges or replaces such fields, and the checks would never
/// see the merged message. No serializer writes such a file.
/// </summary>
internal struct SingularFieldCheck
{
    private ulong seen;

    public void Check(ProtoReader reader, ProtoField field)
    {
        var bit = 1UL << field.Number;
        if ((seen & bit) != 0)
            throw reader.Refuse($"protobuf field {field.Number} occurs twice, at byte {reader.Position}", "once");
        seen |= bit;
    }
}
