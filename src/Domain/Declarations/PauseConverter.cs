using Sluice.Domain.Notation;

namespace Sluice.Domain.Declarations;

public sealed class PauseConverter()
    : NamedConverter<Pause>(("NONE", Pause.None), ("QUEUE", Pause.Queue), ("REFUSE", Pause.Refuse));
