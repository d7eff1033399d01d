namespace Sluice.Storage.Responses;

/// <summary>The limits of stored responses.</summary>
/// <param name="Bytes">Maximum bytes of a response with its conversation. A larger one is not stored.</param>
/// <param name="OwnerBytes">Maximum bytes of the responses of an owner. The oldest are deleted first.</param>
public sealed record ResponseLimits(long Bytes, long OwnerBytes);
